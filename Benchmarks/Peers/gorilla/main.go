// gorilla/websocket: messages read through NextReader into one buffer that is used again, as its documentation advises
// for speed; a goroutine reads and another waits on a channel where that is what is measured.
//
//	hose, deflate, send, echo, cycles, idle   --api reader
//	hose                                      --api message (ReadMessage, which allocates each)
//	echo-blocking                             --api reader (a reading goroutine, and a channel)
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

var (
	workload = ""
	url      = flag.String("url", "", "ws://host:port")
	api      = flag.String("api", "reader", "reader or message")
	kind     = flag.String("kind", "binary", "binary or text")
	size     = flag.Int("size", 16, "bytes of a message")
	count    = flag.Int("count", 1000, "messages")
	warmup   = flag.Int("warmup", 0, "messages before the clock starts")
)

type result struct {
	Peer             string  `json:"peer"`
	API              string  `json:"api"`
	Workload         string  `json:"workload"`
	Version          string  `json:"version"`
	Messages         int     `json:"messages"`
	Bytes            int     `json:"bytes"`
	Seconds          float64 `json:"seconds"`
	Checksum         uint32  `json:"checksum,omitempty"`
	P50              float64 `json:"p50_us,omitempty"`
	P99              float64 `json:"p99_us,omitempty"`
	P999             float64 `json:"p999_us,omitempty"`
	ResidentKiB      int     `json:"resident_kib"`
	Threads          int     `json:"threads"`
	KiBPerConnection float64 `json:"kib_per_connection,omitempty"`
	ThreadsOpen      int     `json:"threads_open,omitempty"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gorilla:", err)
		os.Exit(1)
	}
}

func statusNumber(name string) int {
	status, err := os.Open("/proc/self/status")
	check(err)
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == name+":" {
			value, _ := strconv.Atoi(fields[1])
			return value
		}
	}
	return 0
}

func dial(path string, buffer int) *websocket.Conn {
	dialer := websocket.Dialer{ReadBufferSize: buffer, WriteBufferSize: buffer, EnableCompression: workload == "deflate"}
	connection, _, err := dialer.Dial(*url+path, nil)
	check(err)
	return connection
}

// closeConnection sends Close and waits for the server's.
func closeConnection(connection *websocket.Conn) {
	message := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	check(connection.WriteControl(websocket.CloseMessage, message, time.Now().Add(5*time.Second)))
	for {
		if _, _, err := connection.NextReader(); err != nil {
			if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				check(err)
			}
			break
		}
	}
	connection.Close()
}

func payload() []byte {
	return append(bytes.Repeat([]byte("x"), *size-1), 'a')
}

// messageReader reads whole messages into a buffer that grows as needed and is used again.
type messageReader struct {
	connection *websocket.Conn
	buffer     []byte
}

func (reader *messageReader) next() []byte {
	_, stream, err := reader.connection.NextReader()
	check(err)
	filled := 0
	for {
		if filled == len(reader.buffer) {
			reader.buffer = append(reader.buffer, make([]byte, len(reader.buffer)+512)...)
		}
		n, err := stream.Read(reader.buffer[filled:])
		filled += n
		if errors.Is(err, io.EOF) {
			return reader.buffer[:filled]
		}
		check(err)
	}
}

func hose(count int) (run result) {
	text := *kind == "text" || workload == "deflate"
	path := fmt.Sprintf("/hose?size=%d&count=%d&kind=%s", *size, count, *kind)
	if workload == "deflate" {
		path = fmt.Sprintf("/hose?size=%d&count=%d&kind=text&deflate=1", *size, count)
	}
	connection := dial(path, 64*1024)
	reader := messageReader{connection: connection, buffer: make([]byte, *size+1)}
	begin := time.Now()
	var checksum uint32
	for run.Messages < count {
		var message []byte
		if *api == "message" {
			_, read, err := connection.ReadMessage()
			check(err)
			message = read
		} else {
			message = reader.next()
		}
		last := message[len(message)-1]
		if text {
			string := string(message)
			last = string[len(string)-1]
			keep = string
		}
		checksum = checksum*31 + uint32(last)
		run.Messages++
		run.Bytes += len(message)
	}
	run.Seconds = time.Since(begin).Seconds()
	run.Checksum = checksum
	closeConnection(connection)
	return run
}

// keep makes a string outlive the turn of the loop that made it, so that the compiler cannot leave it out.
var keep string

func send(count int) (run result) {
	connection := dial("/sink", 64*1024)
	message := payload()
	begin := time.Now()
	for i := 0; i < count; i++ {
		check(connection.WriteMessage(websocket.BinaryMessage, message))
	}
	check(connection.WriteMessage(websocket.TextMessage, []byte("report")))
	_, report, err := connection.ReadMessage()
	check(err)
	run.Seconds = time.Since(begin).Seconds()
	seconds := run.Seconds
	check(json.Unmarshal(report, &run))
	run.Seconds = seconds
	closeConnection(connection)
	return run
}

func (run *result) takeSamples(samples []time.Duration) {
	sort.Slice(samples, func(i, j int) bool { return samples[i] < samples[j] })
	percentile := func(share float64) float64 {
		rank := int(math.Ceil(share * float64(len(samples))))
		if rank > 0 {
			rank--
		}
		return float64(samples[rank].Nanoseconds()) / 1e3
	}
	run.P50, run.P99, run.P999 = percentile(0.5), percentile(0.99), percentile(0.999)
	run.Messages, run.Bytes = len(samples), len(samples)**size
}

func echo(count int, blocking bool) (run result) {
	connection := dial("/echo", 4096)
	reader := messageReader{connection: connection, buffer: make([]byte, *size+1)}
	message := payload()
	answers := make(chan []byte)
	ended := make(chan bool)
	if blocking {
		go func() {
			for i := 0; i < *warmup+count; i++ {
				answers <- reader.next()
			}
			close(ended)
		}()
	}
	samples := make([]time.Duration, 0, count)
	begin := time.Now()
	for i := 0; i < *warmup+count; i++ {
		start := time.Now()
		if i == *warmup {
			begin = start
		}
		check(connection.WriteMessage(websocket.BinaryMessage, message))
		var answer []byte
		if blocking {
			answer = <-answers
		} else {
			answer = reader.next()
		}
		if i >= *warmup {
			samples = append(samples, time.Since(start))
		}
		if !bytes.Equal(answer, message) {
			check(errors.New("the echo is not what was sent"))
		}
	}
	run.Seconds = time.Since(begin).Seconds()
	if blocking {
		<-ended
	}
	run.takeSamples(samples)
	closeConnection(connection)
	return run
}

func cycles(count int) (run result) {
	begin := time.Now()
	for ; run.Messages < count; run.Messages++ {
		closeConnection(dial("/idle", 4096))
	}
	run.Seconds = time.Since(begin).Seconds()
	return run
}

// idle holds connections with a goroutine waiting for messages on each, which is how the library is used.
func idle(count int) (run result) {
	open := func() {
		connection := dial("/idle", 4096)
		go connection.NextReader()
	}
	open()
	runtime.GC()
	before := statusNumber("VmRSS")
	begin := time.Now()
	for ; run.Messages < count; run.Messages++ {
		open()
	}
	run.Seconds = time.Since(begin).Seconds()
	time.Sleep(500 * time.Millisecond)
	run.KiBPerConnection = float64(statusNumber("VmRSS")-before) / float64(count)
	run.ThreadsOpen = statusNumber("Threads")
	return run
}

func main() {
	if len(os.Args) < 2 {
		check(errors.New("usage: gorilla WORKLOAD --url …"))
	}
	workload = os.Args[1]
	check(flag.CommandLine.Parse(os.Args[2:]))
	workloads := map[string]func(int) result{
		"hose":          hose,
		"deflate":       hose,
		"send":          send,
		"echo":          func(count int) result { return echo(count, false) },
		"echo-blocking": func(count int) result { return echo(count, true) },
		"cycles":        cycles,
		"idle":          idle,
	}
	body, known := workloads[workload]
	if !known {
		check(errors.New("unknown workload"))
	}
	if *warmup > 0 && !strings.HasPrefix(workload, "echo") && workload != "idle" {
		body(*warmup)
	}
	run := body(*count)
	run.Peer, run.API, run.Workload = "gorilla", *api, workload
	run.Version = runtime.Version()
	run.ResidentKiB, run.Threads = statusNumber("VmRSS"), statusNumber("Threads")
	line, err := json.Marshal(run)
	check(err)
	fmt.Println(string(line))
}
