<?php
// The eight operations, written with the generated client.

declare(strict_types=1);

use GuzzleHttp\Client;
use PartnerKeys\Api\APIKeyApi;
use PartnerKeys\Api\LeakedKeysApi;
use PartnerKeys\Api\WebhooksApi;
use PartnerKeys\ApiException;
use PartnerKeys\Configuration;
use PartnerKeys\Model\CreatedKey;
use PartnerKeys\Model\EarlierKey;
use PartnerKeys\Model\ErrorBody;
use PartnerKeys\Model\ErrorDetail;
use PartnerKeys\Model\LeakReport;
use PartnerKeys\Model\PartnerApiKey;
use PartnerKeys\Model\RotatedKey;
use PartnerKeys\Model\RotationRequest;

/** An error that the OpenAPI document describes. getCode() is its HTTP status. */
final class DocumentedError extends RuntimeException
{
    public readonly string $errorCode;
    public readonly string $requestId;
    public readonly ?EarlierKey $created; // what this request created before

    public function __construct(int $status, ErrorDetail $detail, public readonly ?int $retryAfter /* seconds */)
    {
        parent::__construct($detail->getMessage(), $status);
        $this->errorCode = $detail->getCode();
        $this->requestId = $detail->getRequestId();
        $this->created = $detail->getCreated();
    }
}

/** Any other response, for example from a proxy, or none: then getCode() is 0. Omits the body, which may contain a key. */
final class UnexpectedResponse extends RuntimeException
{
}

final class Partner
{
    private APIKeyApi $keys;
    private LeakedKeysApi $leakedKeys;
    private WebhooksApi $webhooks;

    /** Creates a client. `$token` is a session token, or the partner key to open the portal. */
    public function __construct(string $baseUrl, string $token, array $options = ['timeout' => 30 /* seconds */])
    {
        $config = (new Configuration())->setHost($baseUrl)->setAccessToken($token);
        $http = new Client($options);
        $this->keys = new APIKeyApi($http, $config);
        $this->leakedKeys = new LeakedKeysApi($http, $config);
        $this->webhooks = new WebhooksApi($http, $config);
    }

    /**
     * Creates the account's key. Only this response contains it. Use a new random UUID as `$idempotencyKey` for each
     * key, and the same one to repeat a request whose response was lost. If the key was created before, this throws a
     * DocumentedError with `created`.
     */
    public function create(string $idempotencyKey): CreatedKey
    {
        return $this->unwrap(fn () => $this->keys->createPartnerApiKey($idempotencyKey));
    }

    /**
     * Returns the account's active key, or none. Then getHasKey() is false, and getRevoked() says when and why the last
     * key was revoked, or is null if there was none.
     */
    public function show(): PartnerApiKey
    {
        $key = $this->unwrap(fn () => $this->keys->getPartnerApiKey());
        // The generator makes one type of both. valid() checks the members of an active key.
        $isKnown = $key->getHasKey() === false || $key->valid();
        return $isKnown ? $key : throw new UnexpectedResponse('a key that this client cannot parse');
    }

    /** Replaces the account's key. The previous key works for `$overlap` seconds. Repeat it as `create`. */
    public function rotate(string $idempotencyKey, int $overlap): RotatedKey
    {
        $request = new RotationRequest(['overlap_seconds' => $overlap]);
        return $this->unwrap(fn () => $this->keys->startPartnerApiKeyRotation($idempotencyKey, $request));
    }

    /** Ends the previous key now. */
    public function finishRotation(): void
    {
        $this->unwrap(fn () => $this->keys->finishPartnerApiKeyRotation());
    }

    /** Goes back to the previous key, and revokes the new one. */
    public function cancelRotation(): void
    {
        $this->unwrap(fn () => $this->keys->cancelPartnerApiKeyRotation());
    }

    /** Revokes the account's key. Does nothing if it has none. */
    public function revoke(): void
    {
        $this->unwrap(fn () => $this->keys->deletePartnerApiKey());
    }

    /** Returns a link to the webhook portal. Needs a client whose token is the partner key. */
    public function openPortal(): string
    {
        return $this->unwrap(fn () => $this->webhooks->getPartnerPortal())->getUrl();
    }

    /** Reports keys that were found at `$url`. Those that work are revoked at once. Needs no token. */
    public function reportLeaked(array $keys, string $url): void
    {
        $report = new LeakReport(['keys' => $keys, 'url' => $url]);
        $this->unwrap(fn () => $this->leakedKeys->reportLeakedPartnerApiKeys($report));
    }

    /** Returns the result of the call, or throws the error for any other response. */
    private function unwrap(callable $call): mixed
    {
        try {
            return $call() ?? throw new UnexpectedResponse('an empty response');
        } catch (ApiException $failure) { // its message contains the body
            $body = $failure->getResponseObject();
            $detail = $body instanceof ErrorBody && $body->valid() ? $body->getError() : null;
            if ($detail?->valid()) {
                $headers = array_change_key_case($failure->getResponseHeaders() ?? []); // to lower case
                $retryAfter = $headers['retry-after'][0] ?? null;
                throw new DocumentedError($failure->getCode(), $detail, is_numeric($retryAfter) ? (int) $retryAfter : null);
            }
            throw new UnexpectedResponse('an undocumented response', $failure->getCode());
        } catch (InvalidArgumentException | TypeError $failure) {
            throw new UnexpectedResponse('a response that this client cannot parse');
        }
    }
}
