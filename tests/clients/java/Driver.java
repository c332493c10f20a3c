import com.example.partnerkeys.ApiClient;
import com.example.partnerkeys.ApiException;
import com.example.partnerkeys.model.ActiveKey;
import com.example.partnerkeys.model.CreatedKey;
import com.example.partnerkeys.model.EarlierKey;
import com.example.partnerkeys.model.Revocation;
import com.example.partnerkeys.model.RotatedKey;
import com.example.partnerkeys.model.Rotation;
import com.example.partnerkeys.model.Webhook;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** The test driver: reads commands, one a line, and writes each result as a line of JSON. */
final class Driver {
  private static final String BASE_URL = System.getenv("BASE_URL");

  public static void main(String[] args) throws IOException {
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var results = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    ObjectMapper json = ApiClient.createDefaultObjectMapper() // writes times as RFC 3339
        .setDefaultPropertyInclusion(JsonInclude.Include.ALWAYS);
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      results.println(json.writeValueAsString(runSafely(line)));
    }
  }

  private static Map<String, Object> runSafely(String line) {
    try {
      return run(line);
    } catch (Partner.DocumentedException documented) {
      return object("error", object(
          "status", documented.getCode(),
          "code", documented.errorCode,
          "message", documented.getMessage(),
          "request_id", documented.requestId,
          "retry_after", documented.retryAfter().map(Duration::toSeconds).orElse(null),
          "created", documented.created().map(Driver::earlierJson).orElse(null)));
    } catch (ApiException other) {
      return unexpected(other.getCode() == 0 ? null : other.getCode(), other); // 0: no status is known
    } catch (RuntimeException bug) {
      return unexpected(null, bug);
    }
  }

  private static Map<String, Object> run(String line) throws ApiException {
    String[] words = line.split("[ :]", 4);
    if (words.length < 3) throw new IllegalArgumentException("not a command and a credential: " + line);
    var partner = new Partner(BASE_URL, credential(words[1], words[2]));
    switch (words[0]) {
      case "create":
        CreatedKey created = partner.create(words[3]);
        return object("created", object(
            "api_key", required(created.getApiKey()),
            "prefix", required(created.getPrefix()),
            "message", required(created.getMessage())));
      case "rotate":
        RotatedKey rotated = partner.rotate(words[3], Duration.ofHours(1));
        return object("rotated", object(
            "api_key", required(rotated.getApiKey()),
            "prefix", required(rotated.getPrefix()),
            "message", required(rotated.getMessage()),
            "previous", object(
                "prefix", required(rotated.getPrevious().getPrefix()),
                "expires_at", required(rotated.getPrevious().getExpiresAt()))));
      case "finish":
        partner.finishRotation();
        return object("finished", object());
      case "cancel":
        partner.cancelRotation();
        return object("canceled", object());
      case "show":
        Partner.ShownKey shown = partner.show();
        return shown.active().map(Driver::keyJson).orElseGet(() -> object("no_key", object(
            "revoked", shown.revoked().map(Driver::revocationJson).orElse(null))));
      case "revoke":
        partner.revoke();
        return object("revoked", object());
      case "portal":
        return object("portal", object("url", required(partner.openPortal().getUrl())));
      case "report":
        partner.reportLeaked(List.of(words[3]), "https://example.com/a-public-file");
        return object("reported", object());
      default:
        throw new IllegalArgumentException("unknown command " + words[0]);
    }
  }

  private static Consumer<HttpRequest.Builder> credential(String scheme, String token) {
    return scheme.equals("cookie") // the generated client does not support cookies
        ? request -> request.header("Cookie", "session=" + token)
        : Partner.bearer(token);
  }

  private static Map<String, Object> earlierJson(EarlierKey key) {
    return object(
        "prefix", required(key.getPrefix()),
        "created_at", required(key.getCreatedAt()),
        "revoked_at", key.getRevokedAt());
  }

  private static Map<String, Object> revocationJson(Revocation revoked) {
    return object("at", required(revoked.getAt()), "reason", required(revoked.getReason()));
  }

  private static Map<String, Object> keyJson(ActiveKey key) {
    Webhook webhook = key.getWebhook();
    Rotation rotation = key.getRotation();
    return object("active_key", object(
        "prefix", required(key.getPrefix()),
        "has_webhook", required(key.getHasWebhook()),
        "created_at", required(key.getCreatedAt()),
        "last_used_at", key.getLastUsedAt(),
        "webhook", webhook == null ? null : object(
            "state", required(webhook.getState()),
            "attempts", required(webhook.getAttempts()),
            "next_attempt_at", webhook.getNextAttemptAt()),
        "rotation", rotation == null ? null : object(
            "previous_prefix", required(rotation.getPreviousPrefix()),
            "previous_expires_at", required(rotation.getPreviousExpiresAt()),
            "previous_last_used_at", rotation.getPreviousLastUsedAt())));
  }

  /** Checks that a required member is present, because the generated client does not. */
  private static <T> T required(T member) {
    if (member == null) throw new IllegalStateException("a required member is missing");
    return member;
  }

  private static Map<String, Object> unexpected(Integer status, Exception reason) {
    return object("unexpected", object("status", status, "reason", reason.toString().replace('\n', ' ')));
  }

  private static Map<String, Object> object(Object... namesAndValues) {
    var object = new LinkedHashMap<String, Object>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      object.put((String) namesAndValues[i], namesAndValues[i + 1]);
    }
    return object;
  }
}
