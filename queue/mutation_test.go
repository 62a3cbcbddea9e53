package queue_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/colonyq/colony/internal/script"
)

// mutate is the variable that names the mutation of a child process.
const mutate = "COLONY_TEST_MUTATION"

// A mutation takes one check out of the scripts. caught is the part of the suite
// that must then fail.
type mutation struct {
	name     string
	old, new string
	caught   string
}

var mutations = []mutation{
	// enqueue
	{"a repeated batch is not recognised", "if number == last and known[2] == first_id then return 'OK' end", "", "Producer/Resend"},
	{"a repeated number is enough", "if number == last and known[2] == first_id", "if number == last", "Producer/OtherJobsSameNumber"},
	{"a gap is not noticed", "if number ~= last + 1 then", "if number < last + 1 then", "Producer/Gap"},
	{"an old number is not noticed", "if number ~= last + 1 then", "if number > last + 1 then", "Producer/OldNumber"},
	{"a late batch is accepted", "if not_after > 0 and now > not_after then", "if false then", "Producer/Stale"},
	{"a stale resend is refused", "if number == last and known[2] == first_id then return 'OK' end", "if number == last and known[2] == first_id and now_ms() <= not_after then return 'OK' end", "Producer/StaleResend"},
	{"the number is not kept", "call('HSET', producer, 'number', int(number), 'first', first_id)", "", "Producer/Resend"},
	{"a due time is not looked at", "if due == '' or due <= now then", "if true then", "Enqueue/AtFuture"},
	{"durations count from 1970", "string.sub(due, 1, 1) == '+' and now + tonumber(due) or tonumber(due)", "tonumber(due)", "Enqueue/In"},
	{"jobs are not counted", "raise(meta, 'enqueued', count)", "", "Many/OneWorker"},
	{"another backend is not noticed", "if has and backend ~= '' and has ~= backend then", "if false then", "TestStatedBackend"},

	// every script
	{"types are not checked", "    if wrong then return wrong end\n  end", "  end", "WrongType"},
	{"rights are not asked for", "local may = redis.acl_check_cmd", "local may = nil", "TestMissingRightChangesNothing"},
	{"nothing opens a full server", "local function on_full_server_too(zset) pcall_('ZREM', zset, '') end", "local function on_full_server_too(zset) end", "Full"},

	{"a counter that cannot be raised stops the script", "pcall_('HINCRBY', meta, name, n)", "call('HINCRBY', meta, name, n)", "TestJunkCounters"},

	// head
	{"a put-back keeps its number", "return with_head(id, n + 1, s + stalls, '', string.sub(entry, rest)), s + stalls", "return with_head(id, n, s + stalls, '', string.sub(entry, rest)), s + stalls", "Take/Fence|Settle/Applied/release"},
	{"stalls are not counted", "return with_head(id, n + 1, s + stalls,", "return with_head(id, n + 1, s,", "Stall"},
	{"leading zeros are numbers", "return #digits < 16 and (#digits == 1 or string.byte(digits) ~= 48)", "return #digits < 16", "TestHeadLikeJSON"},

	// take
	{"a lease that ran out is good", "if deadline <= now then return {err = 'LATE", "if false then return {err = 'LATE", "Take/LeaseRunOut"},
	{"no lease is needed", "if deadline <= 0 then return {err = 'LOST", "if false then return {err = 'LOST", "Take/NotJoined"},
	{"a pause is not seen", "if call('HGET', meta, 'paused') == '1' then return {err = 'PAUSED'} end", "", "Pause/Stops"},
	{"tombstones are not read", "local tombs = call('ZCARD', cancelled) > 0\nlocal fields", "local tombs = false\nlocal fields", "Cancel/Ready"},
	{"a suspect runs beside others", "if alone and call('HLEN', active) == 0 then", "if true then", "Stall/NotBesideOthers"},
	{"a suspect brings others along", "local is_suspect = #entries == 1", "local is_suspect = false", "Stall/OnlyOneAtATime|Stall/Second"},
	{"the byte budget is not kept", "      if bytes >= budget then break end\n      bytes = bytes + #entry\n      used = used + 1", "      used = used + 1", "Take/Budget"},
	{"arrivals are not taken", "of_arrivals = walk(arrivals, max)", "of_arrivals = 0", "Wait"},
	{"foreign entries are not counted", "raise(meta, 'enqueued', counted)", "", "Junk/CountedOnce"},
	{"what is taken stays in the line", "if of_ready > 0 then call('LTRIM', ready, of_ready, -1) end", "", "Take/TwoWorkers"},
	{"junk is dropped", "  call('HSET', parked, j[1], j[2])\n  call('ZADD', dead, int(now), j[1])", "", "Junk/Unreadable"},
	{"two entries of one id are two", "local ended = #tombed + merged", "local ended = #tombed", "Junk/OnePlace|TestTwinsAreOne"},

	// settle
	{"a zombie's word counts", "if tonumber(call('ZSCORE', workers, me) or 0) <= 0 then", "if false then", "Settle/PastOwner"},
	{"lost words are not counted", "raise(meta, 'lease_lost', #answers / 2)", "", "Settle/PastOwner"},
	{"what is not held can be settled", "if seen[field] or call('HEXISTS', active, field) == 0 then", "if seen[field] then", "Settle/Resend"},
	{"a word counts twice in one call", "if seen[field] or call('HEXISTS', active, field) == 0 then", "if call('HEXISTS', active, field) == 0 then", "Settle/TwiceInOneCall"},
	{"a cancelled job is retried", "if cancel and verdict ~= 'done' and verdict ~= 'dead' then", "if false then", "Cancel/RunningThenRetried"},
	{"a wrong type refuses nothing", "refused[verdict] = any_wrong_type(goes[verdict]) or false", "refused[verdict] = false", "WrongType/SettleOne"},
	{"a settled job stays in the hand", "sliced(#settled, function(from, to) call('HDEL', active, unpack(settled, from, to)) end)", "", "Settle/Applied"},
	{"releases turn their order round", "for i = #releases, 1, -1 do", "for i = 1, #releases do", "Settle/ReleaseOrder"},
	{"a released suspect is innocent", "call('LPUSH', stalls > 1 and suspect or ready, entry)", "call('LPUSH', ready, entry)", "Stall/SuspectReleased"},
	{"ends are not counted", "raise(meta, 'ended', done + (count.cancel or 0))", "", "Settle/Counters"},
	{"failures are not counted", "raise(meta, 'failed', failed)", "", "Settle/Counters"},

	// renew
	{"the reaped come back", "if not mine and not join then return false end", "", "Reap/LostForGood"},
	{"those being reaped come back", "if mine and tonumber(mine) <= 0 then return false end", "", "TestHalfReaped"},
	{"an outage grants no grace", "if now - last > lease / 2 or last > now then", "if false then", "Reap/Grace"},
	{"grace is for ever", "grace = now + lease\n", "grace = now + 1000 * lease\n", "Reap/GraceEnds"},
	{"a clock that went back keeps the dead", "if last > now then -- the clock", "if false then -- the clock", "TestClockWentBack"},
	{"the living are reaped", "if not deadline or deadline > now then return false end", "if not deadline then return false end", "TestNotDue"},
	{"grace is not looked at again", "return deadline <= 0 or tonumber(call('ZSCORE', workers, '@grace') or 0) <= now", "return true", "TestNotDue"},

	// beat
	{"arrivals are left lying", "for i = #back, 1, -1 do call('LPUSH', ready, back[i]) end", "back = {}", "TestArrivalsKeepTheirOrder"},
	{"arrivals turn their order round", "for i = #back, 1, -1 do", "for i = 1, #back do", "TestArrivalsKeepTheirOrder"},
	{"nobody is reaped", "if now >= grace then\n", "if false then\n", "Reap/OnlyTheDead"},
	{"running jobs are not told", "  if call('ZCARD', cancelled) > 0 then\n    for _, field", "  if false then\n    for _, field", "Cancel/Running"},
	{"tombstones expire under waiting jobs", "if waiting + suspects == 0 and trouble == '' then", "if true then", "TestTombstoneOutlivesTheLine"},
	{"one wrong type stops the whole beat", "  if bad then trouble = bad end", "  if bad then error(bad) end", "TestBeatBesideAWrongType"},
	{"everybody promotes", "promotes == me and 1 or 0", "1", "Beat/OnePromoter"},
	{"a promoter's office does not end", "call('SET', promoter, me, 'PX', office)", "call('SET', promoter, me)", "Beat/PromoterDies"},
	{"due times are not told", "math.max(due - now, 0) or -1, dead, stop, trouble}", "-1 or -1, dead, stop, trouble}", "Beat/NextDue"},

	// putback
	{"innocents are charged with a suspect", "(s > 1 or not holds_suspect)", "true", "Stall/ChargesOnlyTheSuspect"},
	{"stalls have no limit", "if id and s + stalls > max_stalls then", "if false then", "Stall/TooMany"},
	{"nobody becomes a suspect", "call('LPUSH', total > 1 and suspect or ready, back)", "call('LPUSH', ready, back)", "Stall/Second"},
	{"the reaped stay on the list", "if left > 0 then call('ZREM', workers, who) else call('ZREM', workers, who, '@last', '@grace') end", "", "Reap/LostForGood|Reap/Idle|Close/LeavesNothing"},
	{"a slice takes the whole hand", "if i > max or bytes >= budget then break end\n  local entry = call('HGET', active, field)", "local entry = call('HGET', active, field)", "TestHalfReaped"},
	{"whoever leaves is charged", "local stalls = (reap and id and", "local stalls = (id and", "Close/Releases"},
	{"an office is kept after leaving", "if not reap and call('GET', promoter) == who then call('DEL', promoter) end", "", "Beat/PromoterLeaves"},
	{"the recovered are not counted", "if reap then raise(meta, 'recovered', #hand) end", "", "Reap"},

	// promote, cancel
	{"jobs are promoted early", "local found, jobs = call('ZRANGEBYSCORE', zset, '-inf', int(now),", "local found, jobs = call('ZRANGEBYSCORE', zset, '-inf', '+inf',", "Promote/NotEarly"},
	{"promotion has no order", "if a.due ~= b.due then return a.due < b.due end", "if a.due ~= b.due then return a.due > b.due end", "Promote/Order|Promote/Together"},
	{"promoted jobs stay parked", "sliced(#ids, function(from, to) call('HDEL', parked, unpack(ids, from, to)) end)", "", "TestPromoteWithoutEnvelope"},
	{"an id without a job blocks the line", "  if entry then\n    entries", "  if true then\n    entries", "TestPromoteWithoutEnvelope"},
	{"a cancelled job waits on", "  call('ZREM', waits, id)\n", "", "Cancel/Scheduled"},
	{"the dead get tombstones", "elseif not call('ZSCORE', dead, id) then", "else", "Cancel/Dead"},
}

// applyMutation makes this process one whose scripts lack a check, if it is a
// child of TestMutations.
func applyMutation() {
	for _, m := range mutations {
		if m.name == os.Getenv(mutate) {
			script.SetRewrite(func(_, source string) string { return strings.ReplaceAll(source, m.old, m.new) })
		}
	}
}

// The suite notices every check that is taken out of the scripts: each mutation
// makes the part of it that is named there fail.
func TestMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("one run of a part of the suite for each mutation")
	}
	sources := allScripts(t)
	for _, m := range mutations {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(sources, m.old) {
				t.Fatalf("the scripts don't contain what is to be taken out: %s", m.old)
			}
			if out, failed := runMutated(t, m); !failed {
				t.Errorf("nothing in %s failed without this check:\n%s", m.caught, out)
			}
		})
	}
}

// runMutated runs the part of the suite that must notice, in a process of its own.
func runMutated(t *testing.T, m mutation) (string, bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out []byte
	for _, part := range strings.Split(m.caught, "|") {
		pattern := "^TestConformance$/^standalone$/^" + strings.ReplaceAll(part, "/", "$/^") + "$"
		if strings.HasPrefix(part, "Test") {
			pattern = "^" + part + "$"
		}
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", strings.ReplaceAll(pattern, "$$", "$"), "-test.timeout=100s")
		cmd.Env = append(os.Environ(), mutate+"="+m.name)
		cmd.WaitDelay = 10 * time.Second
		one, err := cmd.CombinedOutput()
		if err != nil && strings.Contains(string(one), "--- FAIL") {
			return "", true
		}
		out = append(out, one...)
	}
	return string(out), false
}

// allScripts is the Lua of this backend and of the moves that it shares.
func allScripts(t *testing.T) string {
	var all strings.Builder
	for _, dir := range []string{"lua", "../internal/moves/lua"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(dir + "/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			all.Write(b)
		}
	}
	return all.String()
}
