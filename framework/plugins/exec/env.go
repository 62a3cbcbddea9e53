package exec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/colonyq/colony/framework"
)

const (
	jobPrefix    = "COLONY_JOB_"
	headerPrefix = jobPrefix + "HEADER_"
)

// baseEnv is what every process gets: the worker's environment without what it
// says of Redis and of a job that the worker itself may run in, the configured
// variables, and the way to Redis as the worker resolved it.
func baseEnv(worker []string, extra map[string]string, cfg framework.Config) []string {
	env := slices.DeleteFunc(slices.Clone(worker), func(kv string) bool {
		return strings.HasPrefix(kv, jobPrefix) || strings.HasPrefix(kv, "COLONY_REDIS_")
	})
	for _, k := range sortedKeys(extra) {
		env = append(env, k+"="+extra[k])
	}
	env = append(env, cfg.Redis.Environ()...)
	return append(env, "COLONY_NAMESPACE="+cfg.Namespace)
}

// jobEnv adds what differs from job to job. A header that no environment can
// carry makes the job dead: no retry would change it.
func jobEnv(base []string, d *framework.Delivery) ([]string, error) {
	env := append(slices.Clip(base),
		jobPrefix+"ID="+d.ID,
		jobPrefix+"KIND="+d.Kind,
		jobPrefix+"QUEUE="+d.Queue,
		jobPrefix+"ATTEMPT="+strconv.Itoa(d.Attempt),
		jobPrefix+"MAX_ATTEMPTS="+strconv.Itoa(d.MaxAttempts),
	)
	for _, k := range sortedKeys(d.Headers) {
		if strings.ContainsRune(d.Headers[k], 0) {
			return nil, framework.Dead(fmt.Errorf("header %q holds a NUL byte, which no environment variable can", k))
		}
		env = append(env, headerPrefix+envName(k)+"="+d.Headers[k])
	}
	return env, nil
}

// envName turns a header's name into part of a variable's.
func envName(header string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, header)
}

// sortedKeys keeps the environment the same from run to run, also where two
// headers map to one name (the last one counts).
func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
