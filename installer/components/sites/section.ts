import { z } from 'zod';
import { duration, flag, list, mapping, text } from '../../config/fields.ts';
import { environment, filePath, name, named } from '../../config/fields-names.ts';
import { edgePath, hostName, hostPattern, image } from '../../config/fields-network.ts';

function cacheTime(description: string) {
  return z
    .union(
      [
        z.literal('no-cache', { error: 'no-cache or a duration such as 1h' }),
        duration({ description }),
      ],
      {
        error: 'no-cache or a duration such as 1h',
      },
    )
    .meta({ description, examples: ['no-cache', '365d'] });
}

const site = mapping(
  {
    artifact: filePath({
      description: 'Folder or archive (.tar.gz, .zip) with the finished files.',
      examples: ['./web/dist'],
    }).optional(),
    image: mapping(
      {
        reference: image({
          description: 'Image with the finished files, by tag or digest.',
          examples: ['ghcr.io/acme/front:1.4.2'],
        }),
        folder: filePath({
          description: 'Folder in it, absolute.',
          examples: ['/usr/share/nginx/html'],
        }),
      },
      { description: 'Copy the files out of an image, which never runs.' },
    ).optional(),
    build: mapping(
      {
        context: filePath({ description: 'Folder with the sources.', examples: ['./web'] }),
        command: text({
          description: 'Shell command that builds the files.',
          examples: ['npm ci && npm run build'],
        }),
        output: filePath({
          description: 'Folder with the result, within the context.',
          examples: ['dist'],
        }),
        image: image({
          description: 'Image to build in; a Node image built on this server otherwise.',
          examples: ['docker.io/library/node:24.4.0'],
        }).optional(),
      },
      { description: 'Build the files in a throw-away container.' },
    ).optional(),
    buildEnv: environment({
      description: 'Variables of the build. They end up in the browser: never secrets.',
      examples: [{ VITE_API_URL: 'https://app.example.com/api' }],
    }).default({}),
    hosts: list(hostName({ description: 'A host name.' }), {
      description: 'Hosts that serve the site.',
      examples: [['www.example.com']],
    }).min(1, { error: 'a list with at least one host' }),
    canonicalHost: hostName({
      description: 'The other hosts redirect to this one.',
      examples: ['www.example.com'],
    }).optional(),
    spa: flag({ description: 'Answer unknown paths with index.html.' }).default(false),
    cache: mapping(
      {
        html: cacheTime('How long browsers keep pages.').default('no-cache'),
        assets: cacheTime('How long browsers keep files with a hash in their name.').prefault(
          '365d',
        ),
        default: cacheTime('How long browsers keep all other files.').prefault('1h'),
      },
      { description: 'What browsers may keep.' },
    ).prefault({}),
    downloads: mapping(
      {
        path: edgePath({
          description: 'Path under which the files are.',
          examples: ['/downloads/'],
        }),
        volume: name({ description: 'Volume that holds the files.', examples: ['downloads'] }),
        expires: duration({ description: 'How long browsers keep them.' }).prefault('1d'),
      },
      { description: 'Files from a volume beside the site.' },
    ).optional(),
    preview: mapping(
      {
        hostPattern: hostPattern({ description: 'Host of each preview; * is its name.' }),
        keep: duration({ description: 'When a preview is removed.' }).prefault('14d'),
      },
      { description: 'Previews of other versions under hosts of their own.' },
    ).optional(),
  },
  { description: 'Static files that nginx serves.' },
);

export const sitesSection = named(site, { description: 'Static sites.' }).default({});

export type Site = z.output<typeof site>;
