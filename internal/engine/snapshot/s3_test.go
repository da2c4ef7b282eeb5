package snapshot

import (
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A store that speaks S3, as far as snapshots need it: what goes over the wire is what the real driver sends.
func TestSnapshotsGoToS3(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	storage := &fakeS3{objects: make(map[string]fakeObject)}
	server := httptest.NewServer(storage)
	t.Cleanup(server.Close)
	r := newRig(t, Options{})
	b, err := Open(t.Context(), "s3://bucket/some/prefix?region=eu-central-1&use_path_style=true&endpoint="+server.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	r.bucket = b
	if at, err := r.fetch(); at != -1 || err != nil {
		t.Fatalf("fetched %d, %v of an empty bucket", at, err)
	}
	r.load(100)
	r.reopen()
	first := r.save(b)
	r.load(1)
	if second := r.save(b); second.Uploaded >= first.Uploaded {
		t.Errorf("uploaded %d, then %d", first.Uploaded, second.Uploaded)
	}
	if at, err := r.fetch(); at != 101 || err != nil {
		t.Errorf("fetched up to %d, %v", at, err)
	}
	for _, key := range storage.keys() {
		if !strings.HasPrefix(key, "/bucket/some/prefix/shop/totals/3/") {
			t.Errorf("there is an object %q", key)
		}
	}
	storage.change(func(key string, o fakeObject) fakeObject {
		if strings.Contains(key, "/manifests/") {
			return o
		}
		return fakeObject{body: append(slices.Clone(o.body), 'x'), at: o.at}
	})
	if got, err := b.Fetch(t.Context(), r.task, filepath.Join(t.TempDir(), "new")); got != nil || err == nil {
		t.Errorf("fetched %+v, %v of files that were changed", got, err)
	}
}

// fakeS3 keeps objects by path.
type fakeS3 struct {
	mu      sync.Mutex
	objects map[string]fakeObject
}

type fakeObject struct {
	body []byte
	at   time.Time
}

func (f *fakeS3) keys() (keys []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (f *fakeS3) change(change func(string, fakeObject) fakeObject) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, o := range f.objects {
		f.objects[key] = change(key, o)
	}
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch {
	case req.Method == http.MethodPut:
		f.put(w, req)
	case req.Method == http.MethodDelete:
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.objects, req.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	case req.URL.Query().Get("list-type") == "2":
		f.list(w, req)
	default:
		f.get(w, req)
	}
}

// put reads the body as it is sent to a server without TLS: in signed chunks with a checksum behind.
func (f *fakeS3) put(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if strings.Contains(req.Header.Get("Content-Encoding"), "aws-chunked") {
		body = unchunk(body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects[req.URL.Path] = fakeObject{body, time.Now()}
	w.Header().Set("ETag", etag(body))
}

func unchunk(b []byte) (body []byte) {
	for {
		line, rest, _ := strings.Cut(string(b), "\r\n")
		size, _, _ := strings.Cut(line, ";")
		n := 0
		if _, err := fmt.Sscanf(size, "%x", &n); err != nil || n == 0 {
			return body
		}
		body, b = append(body, rest[:n]...), []byte(rest[n+2:])
	}
}

func (f *fakeS3) get(w http.ResponseWriter, req *http.Request) {
	f.mu.Lock()
	o, ok := f.objects[req.URL.Path]
	f.mu.Unlock()
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>NoSuchKey</Code></Error>`)
		return
	}
	w.Header().Set("ETag", etag(o.body))
	http.ServeContent(w, req, "", o.at, strings.NewReader(string(o.body)))
}

func (f *fakeS3) list(w http.ResponseWriter, req *http.Request) {
	type content struct {
		Key          string
		LastModified string
		Size         int
		ETag         string
	}
	var result struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []content
	}
	root := strings.TrimSuffix(req.URL.Path, "/") + "/"
	for _, key := range f.keys() {
		f.mu.Lock()
		o := f.objects[key]
		f.mu.Unlock()
		if name := strings.TrimPrefix(key, root); strings.HasPrefix(name, req.URL.Query().Get("prefix")) {
			result.Contents = append(result.Contents, content{name, o.at.UTC().Format("2006-01-02T15:04:05.000Z"), len(o.body), etag(o.body)})
		}
	}
	if err := xml.NewEncoder(w).Encode(result); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func etag(b []byte) string { return fmt.Sprintf("%q", fmt.Sprintf("%x", md5.Sum(b))) }
