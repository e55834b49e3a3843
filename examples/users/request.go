package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

const (
	// maxBody is the largest request body, in bytes.
	maxBody = 16 << 10

	defaultPage = 50
	maxPage     = 200
)

var (
	errContentType = errors.New("content type must be application/json")
	errBodyTooBig  = fmt.Errorf("body is larger than %d bytes", maxBody)
)

// readInput reads and validates the user in a request's body. Its errors are errContentType, errBodyTooBig and *fieldError;
// a fault of the body as a whole has the field "body".
func readInput(w http.ResponseWriter, r *http.Request) (userInput, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return userInput{}, errContentType
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	var input userInput
	if err := decoder.Decode(&input); err != nil {
		return userInput{}, bodyError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		if err == nil || isSyntax(err) {
			return userInput{}, &fieldError{"body", "has more than one JSON value"}
		}
		return userInput{}, bodyError(err)
	}
	return input, input.validate()
}

func isSyntax(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax)
}

// bodyError says in our words what the decoder found.
func bodyError(err error) error {
	var tooBig *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &tooBig):
		return errBodyTooBig
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return &fieldError{wrongType.Field, "must be a string"}
	case errors.As(err, &wrongType):
		return &fieldError{"body", "must be a JSON object"}
	}
	// The decoder has no type for this error.
	if name, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		if unquoted, err := strconv.Unquote(name); err == nil {
			name = unquoted
		}
		return &fieldError{name, "is not a known field"}
	}
	return &fieldError{"body", "is not valid JSON"}
}

// readID reads the user's id from the path. Its error is a *fieldError.
func readID(r *http.Request) (uuid.UUID, error) {
	return parseID("id", r.PathValue("id"))
}

func parseID(field, text string) (uuid.UUID, error) {
	// The parser takes other spellings too; one resource has one address.
	id, err := uuid.Parse(text)
	if err != nil || !strings.EqualFold(id.String(), text) {
		return uuid.UUID{}, &fieldError{field, "is not a UUID"}
	}
	return id, nil
}

// readPage reads the query of a list: limit, by default 50 and at most 200, and after, the id of the last user of the page
// before. Its error is a *fieldError.
func readPage(r *http.Request) (after uuid.UUID, limit int, err error) {
	query := r.URL.Query()
	limit = defaultPage
	if query.Has("limit") {
		limit, err = strconv.Atoi(query.Get("limit"))
		if err != nil || limit < 1 || limit > maxPage {
			return uuid.UUID{}, 0, &fieldError{"limit", fmt.Sprintf("must be a number from 1 to %d", maxPage)}
		}
	}
	if query.Has("after") {
		after, err = parseID("after", query.Get("after"))
	}
	return after, limit, err
}
