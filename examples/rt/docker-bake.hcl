# `docker buildx bake` makes an image for each container of config.yaml: one program under 25 names.
variable "HOLDFAST_NODE_IMAGE" { default = "node:22-trixie-slim" }
variable "REPOSITORY" { default = "ghcr.io/rt-technologie" }

group "default" { targets = ["stand-in"] }

target "stand-in" {
  matrix = {
    app = [
      { name = "admin-gateway", port = "3008", version = "1.0.0" },
      { name = "authz", port = "3007", version = "1.0.0" },
      { name = "core-orders", port = "3001", version = "1.0.0" },
      { name = "notifications", port = "3002", version = "1.0.0" },
      { name = "planning", port = "3004", version = "1.0.0" },
      { name = "tms-sync", port = "3003", version = "1.0.0" },
      { name = "ecpmr", port = "3009", version = "1.0.0" },
      { name = "vigilance", port = "3006", version = "1.0.0" },
      { name = "palette", port = "3011", version = "1.0.0" },
      { name = "affret-ia", port = "3005", version = "1.0.0" },
      { name = "training", port = "3012", version = "1.0.0" },
      { name = "storage-market", port = "3013", version = "1.0.0" },
      { name = "pricing-grids", port = "3014", version = "1.0.0" },
      { name = "tracking-ia", port = "3015", version = "1.0.0" },
      { name = "bourse", port = "3016", version = "1.0.0" },
      { name = "wms-sync", port = "3017", version = "1.0.0" },
      { name = "erp-sync", port = "3018", version = "1.0.0" },
      { name = "web-industry", port = "3010", version = "1.0.0" },
      { name = "web-transporter", port = "3100", version = "1.0.0" },
      { name = "web-logistician", port = "3106", version = "1.0.0" },
      { name = "web-forwarder", port = "3107", version = "1.0.0" },
      { name = "web-supplier", port = "3108", version = "1.0.0" },
      { name = "web-recipient", port = "3109", version = "1.0.0" },
      { name = "backoffice-admin", port = "3110", version = "1.0.0" },
      { name = "mongodb", port = "27017", version = "7.0" },
    ]
  }
  name    = app.name
  context = "stand-in"
  tags    = ["${REPOSITORY}/${app.name}:${app.version}"]
  args = {
    HOLDFAST_NODE_IMAGE = HOLDFAST_NODE_IMAGE
    NAME                = app.name
    PORT                = app.port
  }
  output = ["type=docker"]
}
