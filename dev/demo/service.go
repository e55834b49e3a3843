package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"windlass/activities"
)

// use talks to the service as its clients would, and to the database behind it.
func (d *demo) use(ctx context.Context) error {
	base := d.serviceURL()
	body := `{"name": "Ada", "email": "ada@example.org"}`
	fmt.Printf("$ POST %s/users %s\n", base, body)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/users", strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var user struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&user); err != nil || response.StatusCode != http.StatusCreated {
		return fmt.Errorf("POST /users answered %s", response.Status)
	}
	fmt.Printf("  %s: id %s\n", response.Status, user.ID)

	query := "SELECT id, name, email FROM users"
	fmt.Printf("$ psql -c %q\n", query)
	rows, err := d.psql(ctx, query)
	if err != nil {
		return err
	}
	fmt.Println(strings.TrimRight(rows, "\n"))
	if !strings.Contains(rows, user.ID) {
		return errors.New("the user is not in the database")
	}
	d.show("the service is real: a user created over HTTP was read back from PostgreSQL")
	return nil
}

func (d *demo) filters() client.Filters {
	return client.Filters{}.Add("label", activities.LabelEnvironment+"="+d.environment)
}

func (d *demo) containers(ctx context.Context, resource string) ([]container.Summary, error) {
	filters := d.filters().Add("label", activities.LabelResource+"="+resource)
	result, err := d.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, err
	}
	if len(result.Items) == 0 {
		return nil, fmt.Errorf("the engine has no container of %s", resource)
	}
	return result.Items, nil
}

// serviceURL is where the host publishes the load balancer.
func (d *demo) serviceURL() string { return fmt.Sprintf("http://127.0.0.1:%d", d.port) }

// expectVersion checks that exactly so many replicas run, all of that version.
func (d *demo) expectVersion(ctx context.Context, version string, count int) error {
	replicas, err := d.containers(ctx, "users")
	if err != nil {
		return err
	}
	if len(replicas) != count {
		return fmt.Errorf("%d replicas are there; %d are declared", len(replicas), count)
	}
	for _, replica := range replicas {
		if !strings.HasSuffix(replica.Image, ":"+version) || replica.State != container.StateRunning {
			return fmt.Errorf("replica %s runs %s and is %s", replica.Names[0], replica.Image, replica.State)
		}
	}
	return nil
}

// psql runs a query in the database's container, whose local user needs no password.
func (d *demo) psql(ctx context.Context, query string) (string, error) {
	databases, err := d.containers(ctx, "users-db")
	if err != nil {
		return "", err
	}
	exec, err := d.engine.ExecCreate(ctx, databases[0].ID, client.ExecCreateOptions{
		Cmd: []string{"psql", "-U", "users_db", "-d", "users_db", "-c", query}, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return "", err
	}
	stream, err := d.engine.ExecAttach(ctx, exec.ID, client.ExecAttachOptions{})
	if err != nil {
		return "", err
	}
	defer stream.Close()
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, stream.Reader); err != nil {
		return "", err
	}
	return out.String(), nil
}

// objects are the names of everything that carries the demo's label.
func (d *demo) objects(ctx context.Context) ([]string, error) {
	var names []string
	containers, err := d.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: d.filters()})
	if err != nil {
		return nil, err
	}
	for _, c := range containers.Items {
		names = append(names, c.Names...)
	}
	networks, err := d.engine.NetworkList(ctx, client.NetworkListOptions{Filters: d.filters()})
	if err != nil {
		return nil, err
	}
	for _, n := range networks.Items {
		names = append(names, n.Name)
	}
	volumes, err := d.engine.VolumeList(ctx, client.VolumeListOptions{Filters: d.filters()})
	if err != nil {
		return nil, err
	}
	for _, v := range volumes.Items {
		names = append(names, v.Name)
	}
	return names, nil
}
