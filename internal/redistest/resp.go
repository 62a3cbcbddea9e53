package redistest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// readFrame reads one request or reply of the Redis protocol, version 2 or 3,
// and returns its bytes as they came.
func readFrame(r *bufio.Reader) ([]byte, error) {
	var b bytes.Buffer
	for left := 1; left > 0; left-- {
		head, err := r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		b.Write(head)
		body, parts, err := extent(head)
		if err != nil {
			return nil, err
		}
		if _, err := io.CopyN(&b, r, int64(body)); err != nil {
			return nil, err
		}
		left += parts
	}
	return b.Bytes(), nil
}

// extent says what follows a line: the bytes of its body, and the frames that
// are its parts.
func extent(head []byte) (body, parts int, err error) {
	kind := head[0]
	if !strings.ContainsRune("$=!*~>%|", rune(kind)) {
		return 0, 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(head[1:])))
	if err != nil {
		return 0, 0, fmt.Errorf("not of the Redis protocol: %q", head)
	}
	n = max(n, 0) // -1 is null
	switch kind {
	case '*', '~', '>':
		return 0, n, nil
	case '%':
		return 0, 2 * n, nil
	case '|': // attributes, and then what they belong to
		return 0, 2*n + 1, nil
	}
	if head[1] == '-' {
		return 0, 0, nil
	}
	return n + len("\r\n"), 0, nil
}

// arguments are the words of a request that readFrame read.
func arguments(frame []byte) []string {
	var args []string
	r := bufio.NewReader(bytes.NewReader(frame))
	head, _ := r.ReadString('\n')
	_, n, _ := extent([]byte(head))
	for range n {
		line, err := r.ReadString('\n')
		if err != nil {
			return args
		}
		body, _, err := extent([]byte(line))
		word := make([]byte, body)
		if _, errRead := io.ReadFull(r, word); err != nil || errRead != nil {
			return args
		}
		args = append(args, strings.TrimSuffix(string(word), "\r\n"))
	}
	return args
}
