import com.example.partnerkeys.*;
import com.example.partnerkeys.api.*;
import com.example.partnerkeys.model.*;
import com.fasterxml.jackson.core.JsonProcessingException;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/** The partner's four calls, over the generated client. */
public final class Partner {
  /** An error that the API documents; getCode() is its HTTP status. Any other failure is a plain ApiException. */
  public static final class Refused extends ApiException {
    private static final long serialVersionUID = 1;
    public final ErrorCode errorCode;
    public final String requestId;

    private Refused(ApiException failure, ErrorDetail detail) {
      super(detail.getMessage(), failure, failure.getCode(), failure.getResponseHeaders(), failure.getResponseBody());
      errorCode = detail.getCode();
      requestId = detail.getRequestId();
    }

    /** How long to wait before trying again; empty where the answer names no time. */
    public Optional<Duration> retryAfter() {
      return getResponseHeaders().firstValue("Retry-After")
          .filter(seconds -> seconds.matches("[0-9]{1,9}"))
          .map(seconds -> Duration.ofSeconds(Integer.parseInt(seconds)));
    }
  }

  private final ApiClient client = new ApiClient();
  private final ApiKeyApi keys;
  private final WebhooksApi webhooks;

  public Partner(String baseUrl, Consumer<HttpRequest.Builder> credential) {
    client.updateBaseUri(baseUrl);
    client.setRequestInterceptor(credential).setReadTimeout(Duration.ofMinutes(1));
    keys = new ApiKeyApi(client);
    webhooks = new WebhooksApi(client);
  }

  /** A session's token, or for {@link #openPortal} the API key. */
  public static Consumer<HttpRequest.Builder> bearer(String token) {
    return request -> request.header("Authorization", "Bearer " + token);
  }

  public CreatedKey create() throws ApiException {
    return answer(keys::createPartnerApiKey);
  }

  /** Empty where the account has no key. */
  public Optional<ActiveKey> show() throws ApiException {
    Object key = answer(keys::getPartnerApiKey).getActualInstance(); // an ActiveKey or a NoKey
    return key instanceof ActiveKey active ? Optional.of(active) : Optional.empty();
  }

  public void revoke() throws ApiException {
    answer(keys::deletePartnerApiKey);
  }

  public Portal openPortal() throws ApiException {
    return answer(webhooks::getPartnerPortal);
  }

  private interface Call<T> {
    T send() throws ApiException;
  }

  private <T> T answer(Call<T> call) throws ApiException {
    try {
      T value = call.send();
      if (value == null) throw new ApiException("an empty answer");
      return value;
    } catch (ApiException failure) {
      throw typed(failure);
    }
  }

  /** The generated client leaves the body of an error as it came, and does not miss required members. */
  private ApiException typed(ApiException failure) {
    if (failure.getResponseBody() == null) return failure;
    try {
      ErrorBody body = client.getObjectMapper().readValue(failure.getResponseBody(), ErrorBody.class);
      ErrorDetail detail = body == null ? null : body.getError();
      boolean isWhole = detail != null && detail.getCode() != null && detail.getMessage() != null && detail.getRequestId() != null;
      if (isWhole) return new Refused(failure, detail);
    } catch (JsonProcessingException undocumented) {
      // Told below.
    }
    // Not the failure itself: its message is the body, in which there may be a key.
    return new ApiException(failure.getCode(), "an undocumented answer with status " + failure.getCode());
  }
}
