import type { Operation } from '../model/operation.ts';

/** What is being done, for the progress display. */
export function describeOperation(operation: Operation): string {
  switch (operation.kind) {
    case 'back-up':
      return 'Backing up the databases';
    case 'store-secret':
      return `Storing secret ${operation.name}`;
    case 'make-directory':
      return `Creating folder ${operation.path}`;
    case 'bake-images':
      return `Building ${operation.references.length} images from Debian packages`;
    case 'pull-image':
      return `Pulling ${operation.reference}`;
    case 'build-image':
      return `Building the image of ${operation.service}`;
    case 'make-release':
      return `Bringing release ${operation.release} of site ${operation.site}`;
    case 'switch-site':
      return `Switching site ${operation.site} to release ${operation.release}`;
    case 'remove-releases':
      return `Removing old releases of site ${operation.site}`;
    case 'remove-site':
      return `Removing site ${operation.site}`;
    case 'write-file':
      return `Writing ${operation.path}`;
    case 'remove-file':
      return `Removing ${operation.path}`;
    case 'upgrade-postgres':
      return `Upgrading Postgres from ${operation.from} to ${operation.to}`;
    case 'compose-up':
      return `Starting ${operation.services.map(({ service }) => service).join(', ')}`;
    case 'retire-release':
      return `Stopping the release of ${operation.service} that does not serve`;
    case 'retire-stand-in':
      return `Taking the stand-in of ${operation.service} away`;
    case 'remove-containers':
      return `Removing the containers of ${operation.service}`;
    case 'create-network':
      return `Creating network ${operation.network}`;
    case 'connect-network':
      return `Connecting ${operation.service} to network ${operation.network}`;
    case 'disconnect-network':
      return `Disconnecting ${operation.service} from network ${operation.network}`;
    case 'remove-network':
      return `Removing network ${operation.network}`;
    case 'remove-images':
      return `Removing ${operation.references.length} images of earlier configs`;
    case 'reload':
      return `Reloading ${operation.service}`;
    case 'restart':
      return `Restarting ${operation.service}`;
    case 'provision':
      return `Setting up: ${operation.cause}`;
    case 'host-command':
      return `Running ${operation.argv.join(' ')}`;
  }
}
