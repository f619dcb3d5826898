const CONFIG_FILE = '/etc/nginx/holdfast/nginx.conf';

/** Commands inside of nginx's container. */
export const NGINX = {
  configFile: CONFIG_FILE,
  /** Whether nginx would take what its files say. */
  test: ['nginx', '-t', '-q', '-c', CONFIG_FILE],
  /** Reads them anew, without losing a request of a client that does not ask twice; takes some seconds. */
  reload: ['sh', '/etc/nginx/holdfast/reload.sh'],
  /** Lets clients come again on new connections, which somebody else takes; takes some seconds. */
  close: ['sh', '/etc/nginx/holdfast/reload.sh', 'close'],
} as const;
