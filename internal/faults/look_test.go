package faults

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/wire"
)

// state is what lies where, read with plain commands and not by Colony's own
// inspector. It is exact only when nothing moves.
type state struct {
	meta    map[string]string
	lines   map[string][]string // ready, arrivals, suspect → entries
	active  map[string]map[string]string
	parked  map[string]string
	sets    map[string][]string // scheduled, retry, dead, done → ids
	workers []string
	held    int
	stalled int // entries that carry a stall
}

func (s *state) waiting() int {
	return len(s.lines["ready"]) + len(s.lines["arrivals"]) + len(s.lines["suspect"]) + len(s.sets["scheduled"]) + len(s.sets["retry"])
}

func (r *rig) look() (*state, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	k, c := r.keys, r.admin
	s := &state{lines: map[string][]string{}, active: map[string]map[string]string{}, sets: map[string][]string{}}
	var errs []error
	var err error
	s.meta, err = c.HGetAll(ctx, k.Meta).Result()
	errs = append(errs, err)
	for name, key := range map[string]string{"ready": k.Ready, "arrivals": k.Arrivals, "suspect": k.Suspect} {
		s.lines[name], err = c.LRange(ctx, key, 0, -1).Result()
		errs = append(errs, err)
	}
	for name, key := range map[string]string{"scheduled": k.Scheduled, "retry": k.Retry, "dead": k.Dead, "done": k.Done} {
		s.sets[name], err = c.ZRange(ctx, key, 0, -1).Result()
		errs = append(errs, err)
	}
	s.parked, err = c.HGetAll(ctx, k.Parked).Result()
	errs = append(errs, err, s.readWorkers(ctx, r))
	s.countStalls()
	return s, errors.Join(errs...)
}

func (s *state) readWorkers(ctx context.Context, r *rig) error {
	all, err := r.admin.ZRange(ctx, r.keys.Workers, 0, -1).Result()
	for _, w := range all {
		if !strings.HasPrefix(w, "@") {
			s.workers = append(s.workers, w)
		}
	}
	for _, w := range s.workers {
		hand, e := r.admin.HGetAll(ctx, r.keys.Active(w)).Result()
		err = errors.Join(err, e)
		s.active[w] = hand
		s.held += len(hand)
	}
	return err
}

func (s *state) countStalls() {
	count := func(entry string) {
		if _, _, stalls, _, ok := wire.Head([]byte(entry)); ok && stalls > 0 {
			s.stalled++
		}
	}
	for _, line := range s.lines {
		for _, e := range line {
			count(e)
		}
	}
	for _, hand := range s.active {
		for _, e := range hand {
			count(e)
		}
	}
}

// final is what lies there when everybody has gone.
func (r *rig) final() (Final, error) {
	s, err := r.look()
	if err != nil {
		return Final{}, err
	}
	f := Final{Enqueued: number(s.meta["enqueued"]), Ended: number(s.meta["ended"]), Workers: s.workers}
	for place, entries := range s.lines {
		for _, e := range entries {
			f.Jobs = append(f.Jobs, lying(e, place))
		}
	}
	if f.Keys, err = r.names(); err != nil {
		return Final{}, err
	}
	if err := r.finalHands(&f); err != nil {
		return Final{}, err
	}
	s.finalParked(&f)
	f.Clients, err = r.strangers()
	return f, err
}

// finalHands reads every hand there is, also those of incarnations that nobody knows.
func (r *rig) finalHands(f *Final) error {
	for _, k := range f.Keys {
		who, ok := strings.CutPrefix(k.Name, "active:")
		if !ok {
			continue
		}
		hand, err := r.admin.HVals(context.Background(), r.keys.Active(who)).Result()
		if err != nil {
			return err
		}
		for _, e := range hand {
			f.Jobs = append(f.Jobs, lying(e, "the hand of "+who))
		}
	}
	return nil
}

func (s *state) finalParked(f *Final) {
	seen := map[string]bool{}
	for place, ids := range s.sets {
		for _, id := range ids {
			seen[id] = true
			l := lying(s.parked[id], place)
			l.ID = id
			f.Jobs = append(f.Jobs, l)
			if s.parked[id] == "" {
				f.Strays = append(f.Strays, id+" stands in "+place+" and has no envelope")
			}
		}
	}
	for id := range s.parked {
		if !seen[id] {
			f.Strays = append(f.Strays, id+" has an envelope and stands in no state")
		}
	}
}

func lying(entry, place string) Lying {
	e, err := wire.Parse([]byte(entry))
	if err != nil {
		id, _, _, _, _ := wire.Head([]byte(entry))
		return Lying{ID: id, Place: place, Reason: "cannot be read: " + err.Error()}
	}
	return Lying{ID: e.ID, Place: place, Reason: e.Reason}
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// names are all keys of the namespace, on every master.
func (r *rig) names() ([]Key, error) {
	var mu sync.Mutex
	var found []Key
	prefix := strings.TrimSuffix(r.keys.Meta, "meta")
	err := r.site.masters(context.Background(), func(ctx context.Context, c *redis.Client) error {
		scan := c.Scan(ctx, 0, r.config.Namespace+":*", 1000).Iterator()
		for scan.Next(ctx) {
			ttl, err := c.PTTL(ctx, scan.Val()).Result()
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(strings.TrimPrefix(scan.Val(), prefix), r.config.Namespace+":")
			mu.Lock()
			found = append(found, Key{Name: name, TTL: max(ttl, 0)})
			mu.Unlock()
		}
		return scan.Err()
	})
	return found, err
}

// strangers are connections that nobody of the test's own holds. The servers may
// need a moment to notice the end of a killed process.
func (r *rig) strangers() ([]string, error) {
	var found []string
	var err error
	for range 100 {
		if found, err = r.connections(); err != nil || len(found) == 0 {
			break
		}
		if err := pause(context.Background(), 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return found, err
}

func (r *rig) connections() ([]string, error) {
	var mu sync.Mutex
	var found []string
	err := r.site.masters(context.Background(), func(ctx context.Context, c *redis.Client) error {
		list, err := c.ClientList(ctx).Result()
		for _, line := range strings.Split(strings.TrimSpace(list), "\n") {
			if !strange(line) {
				continue
			}
			mu.Lock()
			found = append(found, line)
			mu.Unlock()
		}
		return err
	})
	return found, err
}

// strange says whether a line of CLIENT LIST is about a worker's or a producer's
// connection. Sockets are the test's, and nodes talk to each other.
func strange(line string) bool {
	for _, known := range []string{" name=" + ownName + " ", " flags=S ", " flags=M ", "redis.sock", " cmd=restore-asking ", " name=sentinel-"} {
		if strings.Contains(line, known) {
			return false
		}
	}
	return line != ""
}

// version is what the servers say that they are.
func (r *rig) version() string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	info, err := r.admin.Info(ctx, "server").Result()
	if err != nil {
		r.Error(err)
	}
	for _, program := range []string{"valkey", "redis"} {
		if _, rest, ok := strings.Cut(info, program+"_version:"); ok {
			version, _, _ := strings.Cut(rest, "\r")
			return strings.ToUpper(program[:1]) + program[1:] + " " + version
		}
	}
	return "an unknown server"
}
