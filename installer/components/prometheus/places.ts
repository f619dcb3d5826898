/** What the parts that measure have to agree on. */

export const PROMETHEUS_SERVICE = 'prometheus';
export const PROMETHEUS_PORT = 9090;
export const PROMETHEUS_VOLUME = 'prometheus-data';

/** `nobody`: Prometheus and all exporters run as it, in our images and in the official ones. */
export const MEASURING_UID = 65_534;
/** Prometheus' folder of rendered files, in the container. */
export const CONFIG_FOLDER = '/etc/prometheus';
