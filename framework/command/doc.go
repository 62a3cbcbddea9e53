// Package command holds the programs worker and enqueue as urfave/cli apps, for
// anybody who builds a worker of their own: copy cmd/worker, add a blank import
// of a plugin, and go build.
//
//	func main() { os.Exit(command.Main(command.Worker(), os.Args)) }
//
// Main is the whole program: it puts flags before arguments, turns signals into
// the end of a context, and errors into a message on standard error and an exit
// code:
//
//	  0  ok. Also a worker that a signal stopped and that stopped cleanly.
//	  1  failed.
//	  2  wrong usage: a flag, an argument or the config file. Nothing was done.
//	130  interrupted: work that has an end (enqueue, worker run --drain) was
//	     stopped by a signal before it, or a second signal cut the stop short.
//
// Data goes to standard output, everything else to standard error.
package command
