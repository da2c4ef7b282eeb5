// Package demo is the service behind the examples: it answers like the services people have, without being one.
//
// It stands in for two kinds. A service named "users" knows people: it answers a name and a segment for a userId,
// always the same ones. Any other name answers which service and version it is and a score worked out from the request.
// A version never changes an answer's other fields, so that a mirrored call differs in exactly the version.
//
// The handler is safe for concurrent use. It keeps nothing between calls and must not be taken for a model of a good
// service: it checks little and can be told to be slow or to fail.
package demo

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// Options says which service to be.
type Options struct {
	Name     string        // "users" or any other
	Version  string        // what the answers carry
	Delay    time.Duration // added to every call
	FailRate float64       // share of calls answered with 503, from 0 to 1
}

// maxEvent bounds what is read of a request.
const maxEvent = 2 << 20

// Handler answers POST on any path with JSON and GET /health with 200.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("POST /", o.answer)
	return mux
}

// event is what the service reads of a message.
type event struct {
	UserID json.RawMessage `json:"userId"`
}

func (o Options) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	if err != nil {
		http.Error(w, "the event is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if !o.wait(r) {
		return
	}
	if o.FailRate > 0 && rand.Float64() < o.FailRate {
		http.Error(w, "told to fail", http.StatusServiceUnavailable)
		return
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, "the event is not a JSON object", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(o.reply(e, body)) // the caller is gone if this fails
}

// wait sleeps the delay; it says false if the caller went away meanwhile.
func (o Options) wait(r *http.Request) bool {
	if o.Delay == 0 {
		return true
	}
	select {
	case <-time.After(o.Delay):
		return true
	case <-r.Context().Done():
		return false
	}
}

func (o Options) reply(e event, body []byte) any {
	if o.Name == "users" {
		return UserOf(string(e.UserID))
	}
	return Reply{Service: o.Name, Version: o.Version, Score: int(hash(o.Name, string(body)) % 100)}
}

// Reply is what a service other than users answers.
type Reply struct {
	Service string `json:"service"`
	Version string `json:"version"`
	Score   int    `json:"score"`
}

// User is what the service users answers.
type User struct {
	Name    string `json:"name"`
	Segment string `json:"segment"`
}

var (
	firstNames = []string{"Ada", "Bela", "Chidi", "Dana", "Emre", "Freya", "Goran", "Hana", "Ines", "Jonas", "Kaya", "Lena", "Milan", "Noor", "Otis", "Priya"}
	lastNames  = []string{"Amari", "Brandt", "Costa", "Duval", "Eriksen", "Farkas", "Greco", "Horvat", "Ito", "Jansen", "Kowal", "Lindh", "Moreau", "Novak", "Okafor", "Petrov"}
)

// UserOf gives the user of an id, the same one every time. One user in ten is gold, three in ten are silver.
func UserOf(id string) User {
	h := hash("users", id)
	segment := "standard"
	switch share := h % 10; {
	case share == 0:
		segment = "gold"
	case share <= 3:
		segment = "silver"
	}
	return User{
		Name:    firstNames[h/10%uint64(len(firstNames))] + " " + lastNames[h/160%uint64(len(lastNames))],
		Segment: segment,
	}
}

func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = io.WriteString(h, p) // a hash cannot fail
		_, _ = h.Write([]byte{0})
	}
	// FNV's low bits of short inputs are near each other; a multiply and shift spreads them.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}
