<?php
// Test driver: reads the commands of tests/suites/clients.rs, one a line, and writes each result as a line of JSON.

declare(strict_types=1);

require __DIR__ . '/autoload.php';
require __DIR__ . '/partner.php';

use PartnerKeys\Model\EarlierKey;
use PartnerKeys\Model\PartnerApiKey;

function client(string $credential): Partner
{
    [$kind, $token] = explode(':', $credential, 2);
    $baseUrl = getenv('BASE_URL');
    // The generated client does not support cookies.
    return $kind === 'bearer'
        ? new Partner($baseUrl, $token)
        : new Partner($baseUrl, '', ['headers' => ['Cookie' => "session=$token"]]);
}

function run(string $command, Partner $partner, string $argument): array
{
    switch ($command) {
        case 'create':
            $created = $partner->create($argument);
            return ['created' => [
                'api_key' => $created->getApiKey(),
                'prefix' => $created->getPrefix(),
                'message' => $created->getMessage(),
            ]];
        case 'rotate':
            $rotated = $partner->rotate($argument, 3600);
            $previous = $rotated->getPrevious();
            return ['rotated' => [
                'api_key' => $rotated->getApiKey(),
                'prefix' => $rotated->getPrefix(),
                'message' => $rotated->getMessage(),
                'previous' => ['prefix' => $previous->getPrefix(), 'expires_at' => timeJson($previous->getExpiresAt())],
            ]];
        case 'finish':
            $partner->finishRotation();
            return ['finished' => new stdClass()];
        case 'cancel':
            $partner->cancelRotation();
            return ['canceled' => new stdClass()];
        case 'show':
            $key = $partner->show();
            return $key->getHasKey() ? ['active_key' => keyJson($key)] : ['no_key' => noKeyJson($key)];
        case 'revoke':
            $partner->revoke();
            return ['revoked' => new stdClass()];
        case 'portal':
            return ['portal' => ['url' => $partner->openPortal()]];
        case 'report':
            $partner->reportLeaked([$argument], 'https://example.com/a-public-file');
            return ['reported' => new stdClass()];
        default:
            throw new LogicException("unknown command: $command");
    }
}

function noKeyJson(PartnerApiKey $key): array
{
    $revoked = $key->getRevoked();
    return ['revoked' => $revoked ? ['at' => timeJson($revoked->getAt()), 'reason' => $revoked->getReason()] : null];
}

function keyJson(PartnerApiKey $key): array
{
    $webhook = $key->getWebhook();
    $rotation = $key->getRotation();
    return [
        'prefix' => $key->getPrefix(),
        'has_webhook' => $key->getHasWebhook(),
        'created_at' => timeJson($key->getCreatedAt()),
        'last_used_at' => timeJson($key->getLastUsedAt()),
        'webhook' => $webhook ? [
            'state' => $webhook->getState(),
            'attempts' => $webhook->getAttempts(),
            'next_attempt_at' => timeJson($webhook->getNextAttemptAt()),
        ] : null,
        'rotation' => $rotation ? [
            'previous_prefix' => $rotation->getPreviousPrefix(),
            'previous_expires_at' => timeJson($rotation->getPreviousExpiresAt()),
            'previous_last_used_at' => timeJson($rotation->getPreviousLastUsedAt()),
        ] : null,
    ];
}

function earlierJson(?EarlierKey $key): ?array
{
    return $key ? [
        'prefix' => $key->getPrefix(),
        'created_at' => timeJson($key->getCreatedAt()),
        'revoked_at' => timeJson($key->getRevokedAt()),
    ] : null;
}

function timeJson(?DateTime $time): ?string
{
    return $time?->format('Y-m-d\TH:i:s.uP');
}

while (($line = fgets(STDIN)) !== false) {
    [$command, $credential, $argument] = [...explode(' ', trim($line)), ''];
    try {
        $result = run($command, client($credential), $argument);
    } catch (DocumentedError $error) {
        $result = ['error' => [
            'status' => $error->getCode(),
            'code' => $error->errorCode,
            'message' => $error->getMessage(),
            'request_id' => $error->requestId,
            'retry_after' => $error->retryAfter,
            'created' => earlierJson($error->created),
        ]];
    } catch (UnexpectedResponse $error) {
        $result = ['unexpected' => ['status' => $error->getCode() ?: null, 'reason' => $error->getMessage()]];
    } catch (Throwable $error) {
        $result = ['unexpected' => ['status' => null, 'reason' => get_class($error) . ': ' . $error->getMessage()]];
    }
    fwrite(STDOUT, json_encode($result, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE) . "\n");
}
