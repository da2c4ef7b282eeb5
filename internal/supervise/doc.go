// Package supervise keeps the local processes of service versions running: it starts each on a free loopback port, waits
// until its health path answers, starts it again when it ends, and stops all of them, last first.
//
// A Supervisor is used once: New, then Run until its context is done. Status may be asked at any time from anywhere.
// Each process has one goroutine that alone moves its state; the callbacks are called from there, never for one process
// at the same time, and hold up that process only.
//
// Do not assume that a process keeps its port: it gets another one with each start, and OnEndpoint says so. A process
// dies with this one however this one dies, but only on Linux, and only the process itself: what it started in its turn
// is killed with it as long as we are there to do so.
package supervise
