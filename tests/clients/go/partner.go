// The eight operations, written with the generated client.
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

// Partner is a client of one server. Each call's context has the token: see WithToken.
type Partner struct{ client *partnerkeys.APIClient }

// DocumentedError is an error that the OpenAPI document describes.
type DocumentedError struct {
	Status     int
	Code       partnerkeys.ErrorCode
	Message    string
	RequestID  string
	RetryAfter *int                    // seconds; nil without the header
	Created    *partnerkeys.EarlierKey // what this request created before; nil if nothing
}

func (e *DocumentedError) Error() string { return fmt.Sprintf("%s (%s)", e.Message, e.Code) }

// UnexpectedError is any other failure. Status is 0 if there was no response.
type UnexpectedError struct {
	Status int
	Err    error
}

func (e *UnexpectedError) Error() string { return e.Err.Error() }
func (e *UnexpectedError) Unwrap() error { return e.Err }

// NewPartner creates a client of the server at baseURL.
func NewPartner(baseURL string) *Partner {
	config := partnerkeys.NewConfiguration()
	config.Servers = partnerkeys.ServerConfigurations{{URL: baseURL}}
	config.HTTPClient = &http.Client{Timeout: time.Minute}
	return &Partner{partnerkeys.NewAPIClient(config)}
}

// WithToken returns a context with a session token, or with the partner key for OpenPortal.
func WithToken(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, partnerkeys.ContextAccessToken, token)
}

// Create creates the account's key. Only this response contains it. Use a new random UUID as idempotencyKey for each
// key, and the same one to repeat a request whose response was lost. If the key was created before, the result is a
// DocumentedError with Created.
func (p *Partner) Create(ctx context.Context, idempotencyKey string) (*partnerkeys.CreatedKey, error) {
	return unwrap(p.client.APIKeyAPI.CreatePartnerApiKey(ctx).IdempotencyKey(idempotencyKey).Execute())
}

// Show returns the account's active key. Without one, it returns when and why the last key was revoked, or nil if there
// was none.
func (p *Partner) Show(ctx context.Context) (*partnerkeys.ActiveKey, *partnerkeys.Revocation, error) {
	shown, err := unwrap(p.client.APIKeyAPI.GetPartnerApiKey(ctx).Execute())
	if err != nil {
		return nil, nil, err
	}
	switch {
	case shown.ActiveKey != nil:
		return shown.ActiveKey, nil, nil
	case shown.NoKey != nil:
		return nil, shown.NoKey.Revoked, nil
	default:
		return nil, nil, &UnexpectedError{Err: errors.New("neither an ActiveKey nor a NoKey")}
	}
}

// Rotate replaces the account's key. The previous key works for overlap seconds. Repeat it as Create.
func (p *Partner) Rotate(ctx context.Context, idempotencyKey string, overlap int32) (*partnerkeys.RotatedKey, error) {
	start := p.client.APIKeyAPI.StartPartnerApiKeyRotation(ctx).IdempotencyKey(idempotencyKey)
	return unwrap(start.RotationRequest(partnerkeys.RotationRequest{OverlapSeconds: &overlap}).Execute())
}

// FinishRotation ends the previous key now.
func (p *Partner) FinishRotation(ctx context.Context) error {
	_, err := unwrap(p.client.APIKeyAPI.FinishPartnerApiKeyRotation(ctx).Execute())
	return err
}

// CancelRotation goes back to the previous key, and revokes the new one.
func (p *Partner) CancelRotation(ctx context.Context) error {
	_, err := unwrap(p.client.APIKeyAPI.CancelPartnerApiKeyRotation(ctx).Execute())
	return err
}

// Revoke revokes the account's key. It does nothing if the account has none.
func (p *Partner) Revoke(ctx context.Context) error {
	_, err := unwrap(p.client.APIKeyAPI.DeletePartnerApiKey(ctx).Execute())
	return err
}

// OpenPortal returns a link to the webhook portal.
func (p *Partner) OpenPortal(ctx context.Context) (*partnerkeys.Portal, error) {
	return unwrap(p.client.WebhooksAPI.GetPartnerPortal(ctx).Execute())
}

// ReportLeaked reports keys that were found at url. Those that work are revoked at once. It needs no token.
func (p *Partner) ReportLeaked(ctx context.Context, keys []string, url string) error {
	report := partnerkeys.LeakReport{Keys: keys, Url: &url}
	_, err := unwrap(p.client.LeakedKeysAPI.ReportLeakedPartnerApiKeys(ctx).LeakReport(report).Execute())
	return err
}

// unwrap returns the value, or a DocumentedError or UnexpectedError.
func unwrap[T any](value *T, response *http.Response, err error) (*T, error) {
	if err == nil && value != nil {
		return value, nil
	}
	if response == nil {
		return nil, &UnexpectedError{Err: err}
	}
	if err == nil {
		err = errors.New("an empty response")
	}
	var failure *partnerkeys.GenericOpenAPIError
	if errors.As(err, &failure) {
		if body, ok := failure.Model().(partnerkeys.ErrorBody); ok && body.Error.Code.IsValid() {
			detail, retryAfter := body.Error, seconds(response.Header.Get("Retry-After"))
			return nil, &DocumentedError{
				response.StatusCode, detail.Code, detail.Message, detail.RequestId, retryAfter, detail.Created,
			}
		}
	}
	return nil, &UnexpectedError{response.StatusCode, err}
}

func seconds(header string) *int {
	if number, err := strconv.Atoi(header); err == nil {
		return &number
	}
	return nil
}
