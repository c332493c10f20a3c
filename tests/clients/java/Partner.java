import com.example.partnerkeys.*;
import com.example.partnerkeys.api.*;
import com.example.partnerkeys.model.*;
import com.fasterxml.jackson.core.JsonProcessingException;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** The eight operations, written with the generated client. */
public final class Partner {
  /** An error that the OpenAPI document describes. getCode() is its HTTP status. Other failures are ApiExceptions. */
  public static final class DocumentedException extends ApiException {
    private static final long serialVersionUID = 1;
    public final ErrorCode errorCode;
    public final String requestId;
    private final EarlierKey created;

    private DocumentedException(ApiException failure, ErrorDetail detail) {
      super(detail.getMessage(), failure, failure.getCode(), failure.getResponseHeaders(), failure.getResponseBody());
      errorCode = detail.getCode();
      requestId = detail.getRequestId();
      created = detail.getCreated();
    }

    /** Returns the key that this request created before, or empty if it did not. */
    public Optional<EarlierKey> created() {
      return Optional.ofNullable(created);
    }

    /** Returns the time to wait before the next request, or empty without the header. */
    public Optional<Duration> retryAfter() {
      return getResponseHeaders().firstValue("Retry-After")
          .filter(seconds -> seconds.matches("[0-9]{1,9}"))
          .map(seconds -> Duration.ofSeconds(Integer.parseInt(seconds)));
    }
  }

  /** The active key, or without one the end of the last key. Both are empty if there was none. */
  public record ShownKey(Optional<ActiveKey> active, Optional<Revocation> revoked) {}

  private final ApiClient client = new ApiClient();
  private final ApiKeyApi keys;
  private final LeakedKeysApi leakedKeys;
  private final WebhooksApi webhooks;

  public Partner(String baseUrl, Consumer<HttpRequest.Builder> credential) {
    client.updateBaseUri(baseUrl);
    client.setRequestInterceptor(credential).setReadTimeout(Duration.ofMinutes(1));
    keys = new ApiKeyApi(client);
    leakedKeys = new LeakedKeysApi(client);
    webhooks = new WebhooksApi(client);
  }

  /** Authenticates with a session token, or with the partner key for {@link #openPortal}. */
  public static Consumer<HttpRequest.Builder> bearer(String token) {
    return request -> request.header("Authorization", "Bearer " + token);
  }

  /**
   * Creates the account's key. Only this response contains it. Use a new random UUID as idempotencyKey for each key,
   * and the same one to repeat a request whose response was lost. If the key was created before, throws a
   * DocumentedException with created().
   */
  public CreatedKey create(String idempotencyKey) throws ApiException {
    return send(() -> keys.createPartnerApiKey(idempotencyKey));
  }

  /** Returns the account's active key, or when and why the last one was revoked. */
  public ShownKey show() throws ApiException {
    Object key = send(keys::getPartnerApiKey).getActualInstance(); // an ActiveKey or a NoKey
    if (key instanceof NoKey none) return new ShownKey(Optional.empty(), Optional.ofNullable(none.getRevoked()));
    // The generated client checks the constant, but not that it is there.
    if (key instanceof ActiveKey active && active.getHasKey() != null) {
      return new ShownKey(Optional.of(active), Optional.empty());
    }
    throw new ApiException("neither an ActiveKey nor a NoKey");
  }

  /** Replaces the account's key. The previous key works for the overlap. Repeat it as {@link #create}. */
  public RotatedKey rotate(String idempotencyKey, Duration overlap) throws ApiException {
    RotationRequest request = new RotationRequest().overlapSeconds((int) overlap.toSeconds());
    return send(() -> keys.startPartnerApiKeyRotation(idempotencyKey, request));
  }

  /** Ends the previous key now. */
  public void finishRotation() throws ApiException {
    send(keys::finishPartnerApiKeyRotation);
  }

  /** Goes back to the previous key, and revokes the new one. */
  public void cancelRotation() throws ApiException {
    send(keys::cancelPartnerApiKeyRotation);
  }

  /** Revokes the account's key. Does nothing if it has none. */
  public void revoke() throws ApiException {
    send(keys::deletePartnerApiKey);
  }

  /** Returns a link to the webhook portal. */
  public Portal openPortal() throws ApiException {
    return send(webhooks::getPartnerPortal);
  }

  /** Reports keys that were found at the URL. Those that work are revoked at once. Needs no token. */
  public void reportLeaked(List<String> keys, String url) throws ApiException {
    send(() -> leakedKeys.reportLeakedPartnerApiKeys(new LeakReport().keys(keys).url(url)));
  }

  private interface Call<T> {
    T send() throws ApiException;
  }

  private <T> T send(Call<T> call) throws ApiException {
    try {
      T value = call.send();
      if (value == null) throw new ApiException("an empty response");
      return value;
    } catch (ApiException failure) {
      throw toDocumented(failure);
    }
  }

  /** Parses the body of an error. The generated client does not, and does not check required members. */
  private ApiException toDocumented(ApiException failure) {
    if (failure.getResponseBody() == null) return failure;
    try {
      ErrorBody body = client.getObjectMapper().readValue(failure.getResponseBody(), ErrorBody.class);
      ErrorDetail detail = body == null ? null : body.getError();
      boolean isComplete = detail != null && detail.getCode() != null && detail.getMessage() != null && detail.getRequestId() != null;
      if (isComplete) return new DocumentedException(failure, detail);
    } catch (JsonProcessingException undocumented) {
      // Reported below.
    }
    // Do not return the failure itself: its message is the body, which may contain a key.
    return new ApiException(failure.getCode(), "an undocumented response with status " + failure.getCode());
  }
}
