-- Asks the api about the key of a request. Sets txn.key_status to active, refused or unavailable
-- and, for an active key, txn.account_id, txn.key_id and txn.key_prefix.
local url = "http://127.0.0.1:8090/internal/v1/forward-auth"

local function ask(txn)
    local authorization = txn.http:req_get_headers()["authorization"]
    if not authorization then
        return nil
    end
    local values = {}
    for _, value in pairs(authorization) do
        values[#values + 1] = value
    end
    return core.httpclient():get{url = url, headers = {authorization = values}}
end

core.register_action("forward-auth", {"http-req"}, function(txn)
    txn:set_var("txn.key_status", "refused")
    local answer = ask(txn)
    if not answer then
        return
    end
    local headers = answer.headers or {}
    if answer.status == 200 and headers["x-account-id"] then
        txn:set_var("txn.account_id", headers["x-account-id"][0])
        txn:set_var("txn.key_id", headers["x-key-id"][0])
        txn:set_var("txn.key_prefix", headers["x-key-prefix"][0])
        txn:set_var("txn.key_status", "active")
    elseif answer.status ~= 401 then
        txn:set_var("txn.key_status", "unavailable")
    end
end, 0)
