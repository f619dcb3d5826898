// Builds the images of HOLDFAST_IMAGES, a JSON list of what resolve.sh printed
// for each of them: [{"name", "reference", "version", "install"}, …].

variable "HOLDFAST_IMAGES" { default = "[]" }
variable "HOLDFAST_BASE" { default = "" }
variable "HOLDFAST_APT_SETUP" { default = "" }

target "platform" {
  matrix = {
    image = jsondecode(HOLDFAST_IMAGES)
  }
  name       = image.name
  context    = "."
  dockerfile = "Dockerfile"
  target     = image.name
  tags       = [image.reference]
  args = {
    BASE     = HOLDFAST_BASE
    DEBS     = join(" ", [for one in jsondecode(HOLDFAST_IMAGES) : one.install])
    DEBS_KEY = join(" ", [for one in jsondecode(HOLDFAST_IMAGES) : one.reference])
    PACKAGES = image.install
    MAJOR    = split(".", image.version)[0]
  }
  secret = ["id=apt,src=${HOLDFAST_APT_SETUP}"]
  labels = {
    "io.holdfast.component"            = image.name
    "org.opencontainers.image.version" = image.version
  }
  output = ["type=docker"]
}
