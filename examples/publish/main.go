// Command publish asks for a deployment as any program would: with the CloudEvents
// SDK and a NATS client, and nothing of Windlass. It publishes the document that
// it is given to the NATS server of NATS_URL.
//
//	go run ./examples/publish examples/web.json
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: publish FILE.json")
		os.Exit(2)
	}
	if err := publish(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

func publish(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var document struct {
		Metadata struct{ Name string }
		Spec     struct{ Environment string }
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}

	e := event.New()
	e.SetID(uuid.NewString())
	e.SetSource("/examples/publish")
	e.SetType("io.windlass.deployment.requested.v1")
	e.SetTime(time.Now())
	data := map[string]json.RawMessage{"document": text}
	if err := e.SetData(event.ApplicationJSON, data); err != nil {
		return err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}

	url := os.Getenv("NATS_URL")
	if url == "" {
		url = nats.DefaultURL
	}
	conn, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("connect to NATS at %s: %w", url, err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	// The subject repeats what the document says: environment, then name.
	message := nats.NewMsg(fmt.Sprintf("windlass.command.%s.%s.deployment.requested", document.Spec.Environment, document.Metadata.Name))
	message.Header.Set("Content-Type", "application/cloudevents+json")
	message.Data = body
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ack, err := js.PublishMsg(ctx, message)
	if err != nil {
		return err
	}
	fmt.Printf("command %s is stored as message %d of stream %s\n", e.ID(), ack.Sequence, ack.Stream)
	return nil
}
