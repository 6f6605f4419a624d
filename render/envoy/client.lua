-- Which client of the gateway sends a request, by its key or its password. The context is written by client.go.

-- same compares in a time that does not tell where two texts differ.
local function same(a, b)
  if #a ~= #b then return false end
  local differ = 0
  for i = 1, #a do differ = bit.bor(differ, bit.bxor(a:byte(i), b:byte(i))) end
  return differ == 0
end

-- basic is what comes after the scheme "Basic", whose name has no case (RFC 9110, section 11.1). No space is tried
-- twice: with an expression that goes back, a long value of spaces would hold up all requests.
local function basic(value)
  return value:match("^%s*[Bb][Aa][Ss][Ii][Cc]%f[%s%z]%s*(.*)$")
end

-- shown are the keys and passwords in a request, in their forms there. Other credentials beside a password are one more
-- that is nobody's.
local function shown(handle, context)
  local headers, out = handle:headers(), {}
  local function each(name, take)
    local n = headers:getNumValues(name)
    for i = 0, n - 1 do take(headers:getAtIndex(name, i), n) end
  end
  if context:get("header") ~= "" then
    each(context:get("header"), function(value) table.insert(out, {kind = "key", value = value}) end)
  end
  if context:get("passwords") then
    each("authorization", function(value, n)
      local credentials = basic(value)
      if not credentials then return end
      table.insert(out, {kind = "password", value = credentials})
      if n > 1 then table.insert(out, {kind = "password", value = ""}) end
    end)
  end
  return out
end

-- owner is the client whose key or password it is; nil for nobody's.
local function owner(handle, context, one)
  local state, name = handle:streamInfo():filterState(), nil
  for _, secret in ipairs(context:get("secrets")) do
    local value = (state:get(secret.state) or ""):gsub("[\r\n]+$", "")
    if secret.kind == one.kind and #value >= secret.least then
      if one.kind == "password" then value = handle:base64Escape(secret.client .. ":" .. value) end
      if same(value, one.value) then name = secret.client end
    end
  end
  return name
end

function envoy_on_request(handle)
  local context = handle:filterContext()
  local credentials = shown(handle, context)
  local name = nil
  if #credentials == 1 then name = owner(handle, context, credentials[1]) end
  if not name and (#credentials > 0 or context:get("required")) then
    handle:respond({[":status"] = "401", ["www-authenticate"] = context:get("challenge")}, "")
    return
  end
  if not name then return end
  handle:headers():remove(credentials[1].kind == "key" and context:get("header") or "authorization")
  handle:streamInfo():dynamicMetadata():set(context:get("metadata"), "name", name)
end
