package broker

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// portHolder names the program that listens on a port of this machine, as far as /proc lets us see: the sockets of
// other users' programs stay hidden.
func portHolder(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return ""
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if socket := listeningSocket(table, n); socket != "" {
			return socketOwner(socket)
		}
	}
	return ""
}

// listeningSocket finds the socket that listens on a port in one of the kernel's tables: the second column ends in the
// port in hexadecimal, the fourth is 0A for listening, the tenth is the socket's number.
func listeningSocket(table string, port int) string {
	raw, err := os.ReadFile(table)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			return "socket:[" + f[9] + "]"
		}
	}
	return ""
}

func socketOwner(socket string) string {
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err != nil || target != socket {
			continue
		}
		pid := strings.Split(file, "/")[2]
		name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		if err != nil {
			return "pid " + pid
		}
		return fmt.Sprintf("%q (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}
