# frozen_string_literal: true

# Test driver: reads the commands of tests/suites/clients.rs, one a line, and writes each result as a line of JSON.
require "json"
require "time"
require "partner"

# A client that sends only this cookie. The generated client does not support cookies.
class PartnerWithCookie < Partner
  def initialize(base_url, cookie)
    super(base_url, nil)
    @client.default_headers["Cookie"] = cookie
    def @client.update_params_for_auth!(*); end # would send an empty Bearer token
  end
end

def client_for(credential)
  kind, token = credential.split(":", 2)
  base_url = ENV.fetch("BASE_URL")
  kind == "bearer" ? Partner.new(base_url, token) : PartnerWithCookie.new(base_url, "session=#{token}")
end

def run(command, partner, argument)
  case command
  when "create"
    created = partner.create(argument)
    { created: { api_key: created.api_key, prefix: created.prefix, message: created.message } }
  when "rotate"
    rotated = partner.rotate(argument, 3600)
    previous = { prefix: rotated.previous.prefix, expires_at: time_json(rotated.previous.expires_at) }
    { rotated: { api_key: rotated.api_key, prefix: rotated.prefix, message: rotated.message, previous: previous } }
  when "finish"
    partner.finish_rotation
    { finished: {} }
  when "cancel"
    partner.cancel_rotation
    { canceled: {} }
  when "show"
    key = partner.show
    key.has_key ? { active_key: key_json(key) } : { no_key: no_key_json(key) }
  when "revoke"
    partner.revoke
    { revoked: {} }
  when "portal"
    { portal: { url: partner.open_portal } }
  when "report"
    partner.report_leaked([argument], "https://example.com/a-public-file")
    { reported: {} }
  else
    raise "unknown command: #{command}"
  end
end

def no_key_json(key)
  revoked = key.revoked
  { revoked: revoked && { at: time_json(revoked.at), reason: revoked.reason } }
end

def key_json(key)
  webhook = key.webhook
  {
    prefix: key.prefix,
    has_webhook: key.has_webhook,
    created_at: time_json(key.created_at),
    last_used_at: time_json(key.last_used_at),
    webhook: webhook && {
      state: webhook.state,
      attempts: webhook.attempts,
      next_attempt_at: time_json(webhook.next_attempt_at)
    },
    rotation: rotation_json(key.rotation)
  }
end

def rotation_json(rotation)
  rotation && {
    previous_prefix: rotation.previous_prefix,
    previous_expires_at: time_json(rotation.previous_expires_at),
    previous_last_used_at: time_json(rotation.previous_last_used_at)
  }
end

def time_json(time)
  time&.iso8601(6)
end

def error_json(error)
  created = error.created
  {
    status: error.status,
    code: error.code,
    message: error.message,
    request_id: error.request_id,
    retry_after: error.retry_after,
    created: created && {
      prefix: created.prefix,
      created_at: time_json(created.created_at),
      revoked_at: time_json(created.revoked_at)
    }
  }
end

$stdout.sync = true
$stdin.each_line do |line|
  command, credential, argument = line.split
  result =
    begin
      run(command, client_for(credential), argument)
    rescue Partner::DocumentedError => error
      { error: error_json(error) }
    rescue Partner::UnexpectedResponse => error
      { unexpected: { status: error.status, reason: error.message } }
    rescue StandardError => error
      { unexpected: { status: nil, reason: error.inspect } }
    end
  puts JSON.generate(result)
end
