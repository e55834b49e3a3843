package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

const (
	// queryTimeout bounds what one request may take of the database.
	queryTimeout = 5 * time.Second
	// healthTimeout bounds how long /healthz waits for the database.
	healthTimeout = time.Second
)

// api answers the requests.
type api struct {
	store  *store
	logger *slog.Logger
}

// newHandler returns the routes of the service.
func newHandler(store *store, logger *slog.Logger) http.Handler {
	a := &api{store: store, logger: logger}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users", a.answer(a.create))
	mux.HandleFunc("GET /users", a.answer(a.list))
	mux.HandleFunc("GET /users/{id}", a.answer(a.get))
	mux.HandleFunc("PUT /users/{id}", a.answer(a.replace))
	mux.HandleFunc("DELETE /users/{id}", a.answer(a.remove))
	mux.HandleFunc("GET /healthz", a.health)
	return withRequestID(withLog(logger, mux))
}

// answer turns an error of a route into an answer and bounds the time of the whole.
func (a *api) answer(route func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
		defer cancel()
		if err := route(w, r.WithContext(ctx)); err != nil {
			writeError(w, r, a.logger, err)
		}
	}
}

func (a *api) create(w http.ResponseWriter, r *http.Request) error {
	input, err := readInput(w, r)
	if err != nil {
		return err
	}
	created, err := a.store.create(r.Context(), input)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/users/"+created.ID.String())
	writeJSON(w, http.StatusCreated, created)
	return nil
}

func (a *api) list(w http.ResponseWriter, r *http.Request) error {
	after, limit, err := readPage(r)
	if err != nil {
		return err
	}
	// One more than asked for tells whether there is a next page.
	users, err := a.store.list(r.Context(), after, limit+1)
	if err != nil {
		return err
	}
	answer := page{Users: users}
	if len(users) > limit {
		answer.Users = users[:limit]
		answer.Next = users[limit-1].ID.String()
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func (a *api) get(w http.ResponseWriter, r *http.Request) error {
	id, err := readID(r)
	if err != nil {
		return err
	}
	found, err := a.store.get(r.Context(), id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, found)
	return nil
}

func (a *api) replace(w http.ResponseWriter, r *http.Request) error {
	id, err := readID(r)
	if err != nil {
		return err
	}
	input, err := readInput(w, r)
	if err != nil {
		return err
	}
	replaced, err := a.store.replace(r.Context(), id, input)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, replaced)
	return nil
}

func (a *api) remove(w http.ResponseWriter, r *http.Request) error {
	id, err := readID(r)
	if err != nil {
		return err
	}
	if err := a.store.remove(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	if err := a.store.ping(ctx); err != nil {
		a.logger.WarnContext(r.Context(), "database does not answer", "requestId", requestID(r.Context()), "error", err)
		writeJSON(w, http.StatusServiceUnavailable, health{Status: "unavailable", Version: version})
		return
	}
	writeJSON(w, http.StatusOK, health{Status: "ok", Version: version})
}
