package stack

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	natsserver "github.com/nats-io/nats-server/v2/server"
	temporallog "go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// natsLogger passes on what NATS logs. Notices are of use only when something is wrong with NATS itself.
type natsLogger struct {
	log  *slog.Logger
	fail func(error)
}

var _ natsserver.Logger = (*natsLogger)(nil)

func (l *natsLogger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLogger) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLogger) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLogger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *natsLogger) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *natsLogger) Fatalf(format string, v ...any) {
	l.fail(fmt.Errorf("NATS: "+format, v...))
}

// temporalLogger passes on the warnings and errors of the Temporal server, the rest at debug level.
type temporalLogger struct {
	log  *slog.Logger
	fail func(error)
	// stopping is shared by all loggers of one server. A server that stops reports every poll that it cuts off.
	stopping *atomic.Bool
}

var (
	_ temporallog.Logger      = (*temporalLogger)(nil)
	_ temporallog.WithLogger  = (*temporalLogger)(nil)
	_ temporallog.SLogWrapper = (*temporalLogger)(nil)
)

func (l *temporalLogger) Debug(msg string, tags ...tag.Tag)  { l.write(slog.LevelDebug, msg, tags) }
func (l *temporalLogger) Info(msg string, tags ...tag.Tag)   { l.write(slog.LevelDebug, msg, tags) }
func (l *temporalLogger) Error(msg string, tags ...tag.Tag)  { l.write(slog.LevelError, msg, tags) }
func (l *temporalLogger) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

// Warn drops the one warning that every start would give: the stack has no HTTP API on purpose.
func (l *temporalLogger) Warn(msg string, tags ...tag.Tag) {
	if strings.HasPrefix(msg, "HTTP API port has not been set") {
		return
	}
	l.write(slog.LevelWarn, msg, tags)
}

func (l *temporalLogger) Panic(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	panic(msg)
}

// Fatal reports and never returns, as the server relies on. It parks the goroutine instead of ending the process, which
// also serves NATS; runtime.Goexit will not do, because the server calls Fatal inside sync.OnceValue, which panics then.
func (l *temporalLogger) Fatal(msg string, tags ...tag.Tag) {
	err := fmt.Errorf("temporal server: %s", msg)
	for _, t := range tags {
		err = fmt.Errorf("%w, %s=%v", err, t.Key(), t.Value())
	}
	l.fail(err)
	select {}
}

func (l *temporalLogger) With(tags ...tag.Tag) temporallog.Logger {
	return &temporalLogger{log: l.log.With(attributes(tags)...), fail: l.fail, stopping: l.stopping}
}

// SLog is what the server logs with where it uses slog itself.
func (l *temporalLogger) SLog() *slog.Logger {
	return slog.New(&temporalHandler{Handler: l.log.Handler(), stopping: l.stopping})
}

func (l *temporalLogger) write(level slog.Level, msg string, tags []tag.Tag) {
	level = shownLevel(level, l.stopping)
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	l.log.Log(context.Background(), level, msg, attributes(tags)...)
}

// temporalHandler gives slog records of the server the level that temporalLogger would give them.
type temporalHandler struct {
	slog.Handler
	stopping *atomic.Bool
}

func (h *temporalHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, shownLevel(level, h.stopping))
}

func (h *temporalHandler) Handle(ctx context.Context, record slog.Record) error {
	record.Level = shownLevel(record.Level, h.stopping)
	return h.Handler.Handle(ctx, record)
}

func (h *temporalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &temporalHandler{Handler: h.Handler.WithAttrs(attrs), stopping: h.stopping}
}

func (h *temporalHandler) WithGroup(name string) slog.Handler {
	return &temporalHandler{Handler: h.Handler.WithGroup(name), stopping: h.stopping}
}

func shownLevel(level slog.Level, stopping *atomic.Bool) slog.Level {
	if level < slog.LevelWarn || stopping.Load() {
		return slog.LevelDebug
	}
	return level
}

func attributes(tags []tag.Tag) []any {
	attrs := make([]any, 0, len(tags))
	for _, t := range tags {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	return attrs
}
