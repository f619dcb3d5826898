-- What OpenSSL, which nginx has loaded anyway, makes of keys and texts.
local bit = require 'bit'
local ffi = require 'ffi'

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
unsigned char *SHA256(const unsigned char *data, size_t length, unsigned char *digest);
unsigned char *HMAC(const EVP_MD *type, const void *key, int key_length, const unsigned char *data, size_t length,
                    unsigned char *digest, unsigned int *digest_length);
]]

local C = ffi.C
local digests = {}

--- HMAC-SHA256 as bytes; nil when OpenSSL refuses.
function digests.hmac(key, text)
  local digest, length = ffi.new('unsigned char[64]'), ffi.new('unsigned int[1]')
  if C.HMAC(C.EVP_sha256(), key, #key, text, #text, digest, length) == nil then return nil end
  return ffi.string(digest, length[0])
end

--- SHA-256 as bytes.
function digests.sha256(text)
  local digest = ffi.new('unsigned char[32]')
  C.SHA256(text, #text, digest)
  return ffi.string(digest, 32)
end

function digests.hexadecimal(bytes)
  return (bytes:gsub('.', function(byte) return string.format('%02x', byte:byte()) end))
end

--- Whether two texts are equal, in a time that says nothing about where they differ.
function digests.same(left, right)
  if #left ~= #right then return false end
  local difference = 0
  for index = 1, #left do
    difference = bit.bor(difference, bit.bxor(left:byte(index), right:byte(index)))
  end
  return difference == 0
end

return digests
