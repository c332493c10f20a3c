// Test driver: reads commands, one a line, and writes each result as a line of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	partnerkeys "example.com/partner/generated"
)

type object map[string]any

func main() {
	lines := bufio.NewScanner(os.Stdin)
	results := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := results.Encode(runSafely(lines.Text())); err != nil {
			panic(err)
		}
	}
}

// runSafely runs one command and returns its result. A panic becomes a result too, so that the suite reports it.
func runSafely(line string) (result object) {
	defer func() {
		if reason := recover(); reason != nil {
			result = unexpected(nil, fmt.Sprint("panic: ", reason))
		}
	}()
	result, err := run(line)
	var documented *DocumentedError
	var other *UnexpectedError
	switch {
	case errors.As(err, &documented):
		return object{"error": object{
			"status": documented.Status, "code": documented.Code, "message": documented.Message,
			"request_id": documented.RequestID, "retry_after": documented.RetryAfter,
			"created": earlierJSON(documented.Created),
		}}
	case errors.As(err, &other) && other.Status != 0:
		return unexpected(other.Status, err.Error())
	case err != nil:
		return unexpected(nil, err.Error())
	}
	return result
}

func run(line string) (object, error) {
	command, rest, _ := strings.Cut(line, " ")
	credential, argument, _ := strings.Cut(rest, " ")
	scheme, token, _ := strings.Cut(credential, ":")
	partner, ctx := NewPartner(os.Getenv("BASE_URL")), context.Background()
	switch scheme {
	case "bearer":
		ctx = WithToken(ctx, token)
	case "cookie": // the generated client does not support cookies
		partner.client.GetConfig().AddDefaultHeader("Cookie", "session="+token)
	default:
		return nil, fmt.Errorf("unknown credential %q", scheme)
	}

	switch command {
	case "create":
		created, err := partner.Create(ctx, argument)
		if err != nil {
			return nil, err
		}
		return object{"created": object{
			"api_key": created.ApiKey, "prefix": created.Prefix, "message": created.Message,
		}}, nil
	case "rotate":
		rotated, err := partner.Rotate(ctx, argument, 3600)
		if err != nil {
			return nil, err
		}
		previous := object{"prefix": rotated.Previous.Prefix, "expires_at": rotated.Previous.ExpiresAt}
		return object{"rotated": object{
			"api_key": rotated.ApiKey, "prefix": rotated.Prefix, "message": rotated.Message, "previous": previous,
		}}, nil
	case "finish":
		return object{"finished": object{}}, partner.FinishRotation(ctx)
	case "cancel":
		return object{"canceled": object{}}, partner.CancelRotation(ctx)
	case "show":
		key, revoked, err := partner.Show(ctx)
		if err != nil {
			return nil, err
		}
		if key == nil {
			return noKeyJSON(revoked), nil
		}
		return keyJSON(key), nil
	case "revoke":
		return object{"revoked": object{}}, partner.Revoke(ctx)
	case "portal":
		portal, err := partner.OpenPortal(ctx)
		if err != nil {
			return nil, err
		}
		return object{"portal": object{"url": portal.Url}}, nil
	case "report":
		err := partner.ReportLeaked(ctx, []string{argument}, "https://example.com/a-public-file")
		return object{"reported": object{}}, err
	}
	return nil, fmt.Errorf("unknown command %q", command)
}

func earlierJSON(key *partnerkeys.EarlierKey) any {
	if key == nil {
		return nil
	}
	return object{"prefix": key.Prefix, "created_at": key.CreatedAt, "revoked_at": key.RevokedAt}
}

func noKeyJSON(revoked *partnerkeys.Revocation) object {
	if revoked == nil {
		return object{"no_key": object{"revoked": nil}}
	}
	return object{"no_key": object{"revoked": object{"at": revoked.At, "reason": revoked.Reason}}}
}

func keyJSON(key *partnerkeys.ActiveKey) object {
	active := object{
		"prefix": key.Prefix, "has_webhook": key.WebhookExists,
		"created_at": key.CreatedAt, "last_used_at": key.LastUsedAt, "webhook": nil, "rotation": nil,
	}
	if rotation := key.Rotation; rotation != nil {
		active["rotation"] = object{
			"previous_prefix": rotation.PreviousPrefix, "previous_expires_at": rotation.PreviousExpiresAt,
			"previous_last_used_at": rotation.PreviousLastUsedAt,
		}
	}
	if webhook := key.Webhook; webhook != nil {
		active["webhook"] = object{
			"state": webhook.State, "attempts": webhook.Attempts, "next_attempt_at": webhook.NextAttemptAt,
		}
	}
	return object{"active_key": active}
}

func unexpected(status any, reason string) object {
	return object{"unexpected": object{"status": status, "reason": strings.ReplaceAll(reason, "\n", " ")}}
}
