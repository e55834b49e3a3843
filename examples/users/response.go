package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
)

// page is the answer to a list.
type page struct {
	Users []user `json:"users"`
	// Next is the value of the query after for the next page. It is empty on the last one.
	Next string `json:"next,omitempty"`
}

// health is the answer of /healthz.
type health struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// problem is the answer to a request that failed. It never has anything internal in it.
type problem struct {
	Error string `json:"error"`
	// Field names what is wrong in the request, where it is one thing.
	Field string `json:"field,omitempty"`
	// RequestID finds the log lines of this request.
	RequestID string `json:"requestId"`
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here is a caller who went away; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(body)
}

// writeError answers a request that failed. What is not the caller's fault goes to the log and not into the answer.
func writeError(w http.ResponseWriter, r *http.Request, logger *slog.Logger, err error) {
	id := requestID(r.Context())
	var wrong *fieldError
	switch {
	case errors.As(err, &wrong):
		writeJSON(w, http.StatusBadRequest, problem{Error: wrong.Error(), Field: wrong.field, RequestID: id})
	case errors.Is(err, errContentType):
		writeJSON(w, http.StatusUnsupportedMediaType, problem{Error: err.Error(), RequestID: id})
	case errors.Is(err, errBodyTooBig):
		writeJSON(w, http.StatusRequestEntityTooLarge, problem{Error: err.Error(), RequestID: id})
	case errors.Is(err, errNotFound):
		writeJSON(w, http.StatusNotFound, problem{Error: err.Error(), RequestID: id})
	case errors.Is(err, errEmailTaken):
		writeJSON(w, http.StatusConflict, problem{Error: err.Error(), Field: "email", RequestID: id})
	case r.Context().Err() != nil:
		// The caller went away and took the query along; that is no fault and has no reader.
	default:
		logger.ErrorContext(r.Context(), "request failed", "requestId", id, "error", err)
		writeJSON(w, http.StatusInternalServerError, problem{Error: "internal error", RequestID: id})
	}
}
