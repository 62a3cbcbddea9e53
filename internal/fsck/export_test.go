package fsck

import "time"

// Tests that leave a queue unknown on purpose need not wait long for its worker.
func init() { unknownPatience = 300 * time.Millisecond }
