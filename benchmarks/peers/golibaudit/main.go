// Prints each connect to a runtime's socket that go-libaudit finds in a log, as JSON, one a line: golibaudit LOG.
//
// Messages are put together by its reassembler and coalesced as Auditbeat does it, ids unresolved.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"strings"
	"time"

	"github.com/elastic/go-libaudit/v2"
	"github.com/elastic/go-libaudit/v2/aucoalesce"
	"github.com/elastic/go-libaudit/v2/auparse"
)

// inFlight is as many events as Auditbeat keeps open at once.
const inFlight = 50

type found struct {
	Serial uint32 `json:"serial"`
	PID    string `json:"pid"`
	Exe    string `json:"exe"`
	Path   string `json:"path"`
}

type connects struct{ out *json.Encoder }

func (c connects) ReassemblyComplete(messages []*auparse.AuditMessage) {
	event, err := aucoalesce.CoalesceMessages(messages)
	if err != nil || event.Dest == nil || event.Data["syscall"] != "connect" {
		return
	}
	path := event.Dest.Path
	if !strings.HasSuffix(path, "docker.sock") && !strings.HasSuffix(path, "containerd.sock") {
		return
	}
	if err := c.out.Encode(found{event.Sequence, event.Process.PID, event.Process.Exe, path}); err != nil {
		log.Fatal(err)
	}
}

// EventsLost is called at every gap of the serials, and a log may have gaps.
func (connects) EventsLost(int) {}

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	output := bufio.NewWriter(os.Stdout)
	reassembler, err := libaudit.NewReassembler(inFlight, 2*time.Second, connects{json.NewEncoder(output)})
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 1<<16), 1<<20)
	for lines.Scan() {
		// What auditd's ENRICHED format adds behind this character go-libaudit cannot parse, and resolves itself.
		line, _, _ := strings.Cut(lines.Text(), "\x1d")
		if message, err := auparse.ParseLogLine(line); err == nil {
			reassembler.PushMessage(message)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	if err := reassembler.Close(); err != nil {
		log.Fatal(err)
	}
	if err := output.Flush(); err != nil {
		log.Fatal(err)
	}
}
