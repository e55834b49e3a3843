package docker

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// ContainerLogs implements activities.ContainerRuntime.
func (p *Provider) ContainerLogs(ctx context.Context, declared plan.Desired, request schemas.LogsRequest, secrets activities.Secrets) (schemas.LogsAnswer, error) {
	// What the container was told is revealed, so that it can be recognised.
	r, err := p.single(ctx, declared, secrets, func(string) {})
	if err != nil {
		return schemas.LogsAnswer{}, err
	}
	c, err := r.found(ctx)
	if err != nil {
		return schemas.LogsAnswer{}, err
	}
	if c == nil {
		return schemas.LogsAnswer{}, &activities.Fault{Kind: activities.NotFound, Resource: declared.Resource, Message: "there is no container"}
	}
	tail := min(cmp.Or(request.Tail, schemas.DefaultLogLines), schemas.MaxLogLines)
	options := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Tail: strconv.Itoa(tail)}
	if !request.After.IsZero() {
		options.Since = request.After.Format(time.RFC3339Nano)
	}
	sheet := &logSheet{}
	_, err = read(ctx, func(ctx context.Context) (struct{}, error) {
		logs, err := p.engine.ContainerLogs(ctx, c.ID, options)
		if err != nil {
			return struct{}{}, err
		}
		defer logs.Close()
		_, err = stdcopy.StdCopy(&logStream{sheet: sheet, name: "stdout"}, &logStream{sheet: sheet, name: "stderr"}, logs)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return struct{}{}, err
	})
	if err != nil {
		return schemas.LogsAnswer{}, engineFault(ctx, declared.Resource, "read the logs", err)
	}
	return sheet.answer(request.After, secrets), nil
}

// logSheet keeps the lines of both streams in the order in which they were written.
type logSheet struct{ lines []schemas.LogLine }

// logStream writes one stream, of which the engine gives whole lines in pieces.
type logStream struct {
	sheet   *logSheet
	name    string
	pending []byte
}

// Write implements io.Writer.
func (s *logStream) Write(piece []byte) (int, error) {
	s.pending = append(s.pending, piece...)
	for {
		end := bytes.IndexByte(s.pending, '\n')
		if end < 0 {
			return len(piece), nil
		}
		stamp, text, _ := strings.Cut(string(s.pending[:end]), " ")
		s.pending = s.pending[end+1:]
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			text = strings.ToValidUTF8(strings.TrimRight(text, "\r"), "�")
			s.sheet.lines = append(s.sheet.lines, schemas.LogLine{Time: at, Stream: s.name, Text: text})
		}
	}
}

// answer has the newest lines after that time that fit, without secrets.
func (s *logSheet) answer(after time.Time, secrets activities.Secrets) schemas.LogsAnswer {
	answer := schemas.LogsAnswer{Lines: []schemas.LogLine{}}
	room, first := schemas.MaxLogBytes, len(s.lines)
	for first > 0 && s.lines[first-1].Time.After(after) {
		text := secrets.Redact(s.lines[first-1].Text)
		const envelope = 100 // time, stream and punctuation
		if room -= len(text) + envelope; room < 0 {
			answer.Truncated = true
			break
		}
		first--
		s.lines[first].Text = text
	}
	answer.Lines = append(answer.Lines, s.lines[first:]...)
	return answer
}
