package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
)

const requestIDHeader = "X-Request-Id"

// usableRequestID keeps what a caller sends from filling or forging log lines.
var usableRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

type requestIDKey struct{}

// requestID returns the id under which a request is logged.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// withRequestID gives each request an id: the one its caller sent, if it is usable, or a new one. The answer repeats it.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !usableRequestID.MatchString(id) {
			id = uuid.NewString()
		}
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// withLog writes one line per request, for health checks only on the debug level, and turns a panic into a fault.
func withLog(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		recorder := &statusRecorder{ResponseWriter: w}
		defer func() {
			if cause := recover(); cause != nil {
				logger.ErrorContext(r.Context(), "panic", "requestId", requestID(r.Context()), "stack", string(debug.Stack()))
				if recorder.status != 0 {
					// The answer has begun; only cutting it off tells the caller that it is not whole.
					panic(http.ErrAbortHandler)
				}
				writeError(recorder, r, logger, fmt.Errorf("panic: %v", cause))
			}
			level := slog.LevelInfo
			if r.URL.Path == "/healthz" {
				level = slog.LevelDebug
			}
			logger.Log(r.Context(), level, "request", "requestId", requestID(r.Context()), "method", r.Method, "path", r.URL.Path,
				"status", recorder.status, "milliseconds", time.Since(started).Milliseconds())
		}()
		next.ServeHTTP(recorder, r)
	})
}

// statusRecorder remembers the status of an answer. It is 0 until the answer begins.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(data []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController reach the writer below.
func (s *statusRecorder) Unwrap() http.ResponseWriter {
	return s.ResponseWriter
}
