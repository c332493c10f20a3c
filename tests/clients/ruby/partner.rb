# frozen_string_literal: true

# The eight operations, written with the generated client.
require "partner_keys"
require "uri"

class Partner
  # An error that the OpenAPI document describes.
  class DocumentedError < StandardError
    attr_reader :status, :code, :request_id, :retry_after, :created

    def initialize(status, detail, retry_after)
      super(detail.message)
      @status = status
      @code = detail.code
      @request_id = detail.request_id
      @created = detail.created # what this request created before, or nil
      @retry_after = Integer(retry_after, exception: false) if retry_after # seconds
    end
  end

  # Any other response, for example from a proxy, or no response. Omits the body, because it may contain a key.
  class UnexpectedResponse < StandardError
    attr_reader :status

    def initialize(status, reason = "an undocumented response with status #{status}")
      super(reason)
      @status = status
    end
  end

  # Creates a client. `token` is a session token, or the partner key to open the portal.
  def initialize(base_url, token)
    url = URI(base_url)
    @config = PartnerKeys::Configuration.new do |config|
      config.scheme = url.scheme
      config.host = "#{url.host}:#{url.port}"
      config.base_path = url.path
      config.access_token = token
      config.timeout = 30 # seconds; no timeout by default
    end
    @client = PartnerKeys::ApiClient.new(@config)
    @keys = PartnerKeys::APIKeyApi.new(@client)
  end

  # Creates the account's key. Only this response contains it. Use a new random UUID as `idempotency_key` for each key,
  # and the same one to repeat a request whose response was lost. If the key was created before, this raises a
  # `DocumentedError` with `created`.
  def create(idempotency_key)
    unwrap { @keys.create_partner_api_key(idempotency_key: idempotency_key) }
  end

  # Returns the account's active key, or a `NoKey`. Its `revoked` says when and why the last key was revoked, or is nil
  # if there was none.
  def show
    # By itself, the generated code takes a key with a member that a later version adds for nothing at all.
    shown = unwrap { @keys.get_partner_api_key(debug_return_type: "Object") }
    case shown
    in { has_key: true } then unwrap { PartnerKeys::ActiveKey.build_from_hash(shown) }
    in { has_key: false } then unwrap { PartnerKeys::NoKey.build_from_hash(shown) }
    else raise UnexpectedResponse.new(200)
    end
  end

  # Replaces the account's key. The previous key works for `overlap` seconds. Repeat it as `create`.
  def rotate(idempotency_key, overlap)
    request = PartnerKeys::RotationRequest.new(overlap_seconds: overlap)
    unwrap { @keys.start_partner_api_key_rotation(idempotency_key: idempotency_key, rotation_request: request) }
  end

  # Ends the previous key now.
  def finish_rotation
    unwrap { @keys.finish_partner_api_key_rotation }
  end

  # Goes back to the previous key, and revokes the new one.
  def cancel_rotation
    unwrap { @keys.cancel_partner_api_key_rotation }
  end

  # Revokes the account's key. Does nothing if it has none.
  def revoke
    unwrap { @keys.delete_partner_api_key }
  end

  # Returns a link to the webhook portal. Needs a client whose token is the partner key.
  def open_portal
    unwrap { PartnerKeys::WebhooksApi.new(@client).get_partner_portal }.url
  end

  # Reports keys that were found at `url`. Those that work are revoked at once. Needs no token.
  def report_leaked(keys, url)
    report = PartnerKeys::LeakReport.new(keys: keys, url: url)
    unwrap { PartnerKeys::LeakedKeysApi.new(@client).report_leaked_partner_api_keys(report) }
  end

  private

  # Returns the result of the block, or raises the error for any other response.
  def unwrap
    yield or raise UnexpectedResponse.new(nil, "an empty response")
  rescue PartnerKeys::ApiError => failure
    raise to_error(failure), cause: nil # its message contains the body
  rescue ArgumentError, JSON::ParserError, NoMethodError, RuntimeError, TypeError
    raise UnexpectedResponse.new(nil, "a response that this client cannot parse"), cause: nil
  end

  # Parses the body of an error. The generated code does not.
  def to_error(failure)
    return UnexpectedResponse.new(nil, failure.message) unless failure.response_body

    body = PartnerKeys::ErrorBody.build_from_hash(JSON.parse(failure.response_body, symbolize_names: true))
    DocumentedError.new(failure.code, body.error, failure.response_headers["Retry-After"])
  rescue StandardError
    UnexpectedResponse.new(failure.code)
  end
end
