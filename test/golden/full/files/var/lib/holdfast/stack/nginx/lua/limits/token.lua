-- Claims of a JSON Web Token, if and only if its signature holds. The key alone says which algorithm that is:
-- what the token says about itself must agree, and decides nothing.
local cjson = require 'cjson.safe'
local ffi = require 'ffi'
local decode = require('ngx.base64').decode_base64url
local digests = require 'digests'
local ngx = ngx

-- More of OpenSSL than `digests` has already named.
ffi.cdef [[
typedef struct evp_md_ctx_st EVP_MD_CTX;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct bio_st BIO;
BIO *BIO_new_mem_buf(const void *text, int length);
int BIO_free(BIO *bio);
EVP_PKEY *PEM_read_bio_PUBKEY(BIO *bio, EVP_PKEY **key, void *callback, void *argument);
void EVP_PKEY_free(EVP_PKEY *key);
int EVP_PKEY_get_base_id(const EVP_PKEY *key);
int EVP_PKEY_get_bits(const EVP_PKEY *key);
EVP_MD_CTX *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(EVP_MD_CTX *context);
int EVP_DigestVerifyInit(EVP_MD_CTX *context, void **key_context, const EVP_MD *type, void *engine, EVP_PKEY *key);
int EVP_DigestVerify(EVP_MD_CTX *context, const unsigned char *signature, size_t signature_length,
                     const unsigned char *data, size_t length);
void ERR_clear_error(void);
]]

local C = ffi.C
local RSA, EC = 6, 408
local token = {}

local function hmac_holds(secret, text, signature)
  local digest = digests.hmac(secret, text)
  return digest ~= nil and digests.same(digest, signature)
end

-- An integer of the signature as DER has it: no leading zeros but one where it would be negative.
local function der_integer(bytes)
  bytes = bytes:gsub('^%z+', '')
  if bytes == '' or bytes:byte(1) >= 128 then bytes = '\0' .. bytes end
  return '\2' .. string.char(#bytes) .. bytes
end

local function der_signature(raw)
  local body = der_integer(raw:sub(1, 32)) .. der_integer(raw:sub(33))
  return '\48' .. string.char(#body) .. body
end

local function signature_holds(key, text, signature)
  local context = ffi.gc(C.EVP_MD_CTX_new(), C.EVP_MD_CTX_free)
  local holds = C.EVP_DigestVerifyInit(context, nil, C.EVP_sha256(), nil, key) == 1
    and C.EVP_DigestVerify(context, signature, #signature, text, #text) == 1
  C.ERR_clear_error()
  return holds
end

local function public_key(pem)
  local bio = C.BIO_new_mem_buf(pem, #pem)
  local key = C.PEM_read_bio_PUBKEY(bio, nil, nil, nil)
  C.BIO_free(bio)
  C.ERR_clear_error()
  if key == nil then return nil end
  return ffi.gc(key, C.EVP_PKEY_free)
end

--- How tokens are verified with this secret: a public key in PEM stands for RS256 or ES256, any other text for
--- HS256. Nil when it can verify nothing.
function token.verifier(secret)
  if not secret:find('^%s*%-%-%-%-%-BEGIN ') then
    if secret == '' then return nil end
    return { algorithm = 'HS256', holds = function(text, signature) return hmac_holds(secret, text, signature) end }
  end
  local key = public_key(secret)
  if key == nil then return nil end
  local kind = C.EVP_PKEY_get_base_id(key)
  if kind == RSA then
    return { algorithm = 'RS256', holds = function(text, signature) return signature_holds(key, text, signature) end }
  end
  if kind == EC and C.EVP_PKEY_get_bits(key) == 256 then
    return {
      algorithm = 'ES256',
      holds = function(text, signature)
        return #signature == 64 and signature_holds(key, text, der_signature(signature))
      end,
    }
  end
  return nil
end

local function object(part)
  local text = decode(part)
  local value = text and cjson.decode(text)
  return type(value) == 'table' and value or nil
end

--- The claims of a token that is signed and in its time; otherwise nil.
function token.claims(text, verifier)
  local head, body, signature = text:match('^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$')
  if not head then return nil end
  local header = object(head)
  if not header or header.alg ~= verifier.algorithm or header.crit ~= nil then return nil end
  local bytes = decode(signature)
  if not bytes or not verifier.holds(head .. '.' .. body, bytes) then return nil end
  local claims = object(body)
  if not claims then return nil end
  local now = ngx.time()
  if claims.exp ~= nil and not (type(claims.exp) == 'number' and now < claims.exp) then return nil end
  if claims.nbf ~= nil and not (type(claims.nbf) == 'number' and now >= claims.nbf) then return nil end
  return claims
end

return token
