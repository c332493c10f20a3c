// The partner's four calls, over the generated client.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	partnerkeys "example.com/partner/generated"
)

// Partner talks to one server. Who is asking is in each call's context: see As.
type Partner struct{ client *partnerkeys.APIClient }

// Refused is an error that the API documents.
type Refused struct {
	Status     int
	Code       partnerkeys.ErrorCode
	Message    string
	RequestID  string
	RetryAfter *int // seconds; nil where the answer names none
}

func (r *Refused) Error() string { return fmt.Sprintf("%s (%s)", r.Message, r.Code) }

// Unexpected is any other failure. Status is 0 where there was no answer at all.
type Unexpected struct {
	Status int
	Err    error
}

func (u *Unexpected) Error() string { return u.Err.Error() }
func (u *Unexpected) Unwrap() error { return u.Err }

func NewPartner(baseURL string) *Partner {
	config := partnerkeys.NewConfiguration()
	config.Servers = partnerkeys.ServerConfigurations{{URL: baseURL}}
	config.HTTPClient = &http.Client{Timeout: time.Minute}
	return &Partner{partnerkeys.NewAPIClient(config)}
}

// As says who is asking: a session's token, or for OpenPortal the API key.
func As(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, partnerkeys.ContextAccessToken, token)
}

func (p *Partner) Create(ctx context.Context) (*partnerkeys.CreatedKey, error) {
	return answer(p.client.APIKeyAPI.CreatePartnerApiKey(ctx).Execute())
}

// Show returns nil where the account has no key.
func (p *Partner) Show(ctx context.Context) (*partnerkeys.ActiveKey, error) {
	shown, err := answer(p.client.APIKeyAPI.GetPartnerApiKey(ctx).Execute())
	if err != nil {
		return nil, err
	}
	switch key := shown.GetActualInstance().(type) {
	case *partnerkeys.ActiveKey:
		return key, nil
	case *partnerkeys.NoKey:
		return nil, nil
	default:
		return nil, &Unexpected{Err: errors.New("neither a key nor none")}
	}
}

func (p *Partner) Revoke(ctx context.Context) error {
	_, err := answer(p.client.APIKeyAPI.DeletePartnerApiKey(ctx).Execute())
	return err
}

func (p *Partner) OpenPortal(ctx context.Context) (*partnerkeys.Portal, error) {
	return answer(p.client.WebhooksAPI.GetPartnerPortal(ctx).Execute())
}

func answer[T any](value *T, response *http.Response, err error) (*T, error) {
	if err == nil && value != nil {
		return value, nil
	}
	if response == nil {
		return nil, &Unexpected{Err: err}
	}
	if err == nil {
		err = errors.New("an empty answer")
	}
	var failure *partnerkeys.GenericOpenAPIError
	if errors.As(err, &failure) {
		if body, ok := failure.Model().(partnerkeys.ErrorBody); ok && body.Error.Code.IsValid() {
			detail, retryAfter := body.Error, seconds(response.Header.Get("Retry-After"))
			return nil, &Refused{response.StatusCode, detail.Code, detail.Message, detail.RequestId, retryAfter}
		}
	}
	return nil, &Unexpected{response.StatusCode, err}
}

func seconds(header string) *int {
	if number, err := strconv.Atoi(header); err == nil {
		return &number
	}
	return nil
}
