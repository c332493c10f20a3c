// The test's plumbing: a command a line on stdin, its answer as a line of JSON on stdout.
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
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := answers.Encode(safely(lines.Text())); err != nil {
			panic(err)
		}
	}
}

// A panic is an answer too: the suite sees it.
func safely(line string) (answer object) {
	defer func() {
		if reason := recover(); reason != nil {
			answer = unexpected(nil, fmt.Sprint("panic: ", reason))
		}
	}()
	answer, err := run(line)
	var refused *Refused
	var other *Unexpected
	switch {
	case errors.As(err, &refused):
		return object{"error": object{
			"status": refused.Status, "code": refused.Code, "message": refused.Message,
			"request_id": refused.RequestID, "retry_after": refused.RetryAfter,
		}}
	case errors.As(err, &other) && other.Status != 0:
		return unexpected(other.Status, err.Error())
	case err != nil:
		return unexpected(nil, err.Error())
	}
	return answer
}

func run(line string) (object, error) {
	command, credential, _ := strings.Cut(line, " ")
	scheme, token, _ := strings.Cut(credential, ":")
	partner, ctx := NewPartner(os.Getenv("BASE_URL")), context.Background()
	switch scheme {
	case "bearer":
		ctx = As(ctx, token)
	case "cookie": // the generated client has no way of its own
		partner.client.GetConfig().AddDefaultHeader("Cookie", "session="+token)
	default:
		return nil, fmt.Errorf("unknown credential %q", scheme)
	}

	switch command {
	case "create":
		created, err := partner.Create(ctx)
		if err != nil {
			return nil, err
		}
		return object{"created": object{
			"api_key": created.ApiKey, "prefix": created.Prefix, "message": created.Message,
		}}, nil
	case "show":
		key, err := partner.Show(ctx)
		if err != nil {
			return nil, err
		}
		return shown(key), nil
	case "revoke":
		return object{"revoked": object{}}, partner.Revoke(ctx)
	case "portal":
		portal, err := partner.OpenPortal(ctx)
		if err != nil {
			return nil, err
		}
		return object{"portal": object{"url": portal.Url}}, nil
	}
	return nil, fmt.Errorf("unknown command %q", command)
}

func shown(key *partnerkeys.ActiveKey) object {
	if key == nil {
		return object{"no_key": object{}}
	}
	active := object{
		"prefix": key.Prefix, "has_webhook": key.WebhookExists,
		"created_at": key.CreatedAt, "last_used_at": key.LastUsedAt, "webhook": nil,
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
