import type { z } from 'zod';
import { choice, duration, flag, mapping, timeOfDay, wholeNumber } from '../../config/fields.ts';

export const updatesSection = mapping(
  {
    os: mapping(
      {
        unattended: flag({
          description:
            "Install Debian's security fixes by themselves, with unattended-upgrades; all but those of the engine, which stop every container. `false` switches that program off, also where it was on before.",
        }).default(true),
        reboot: flag({ description: 'Reboot in the window when a fix needs it.' }).default(false),
      },
      { description: 'The operating system.' },
    ).prefault({}),
    images: mapping(
      {
        policy: choice(['pinned-digest', 'notify', 'auto'], {
          description: 'Stay until `holdfast update`, also tell, or update in the window.',
        }).prefault('pinned-digest'),
        patchWithin: mapping(
          {
            critical: duration({ description: 'For critical holes.', examples: ['2d'] }).optional(),
            high: duration({ description: 'For high ones.', examples: ['7d'] }).optional(),
            medium: duration({ description: 'For medium ones.', examples: ['30d'] }).optional(),
          },
          { description: 'How soon a hole has to be closed; later it is an alert.' },
        ).optional(),
      },
      { description: 'Images of the platform.' },
    ).prefault({}),
    window: mapping(
      {
        day: choice(['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'], {
          description: 'Day of the week.',
          defaultText: 'every day',
        }).optional(),
        from: timeOfDay({ description: 'Start.', examples: ['02:00'] }),
        to: timeOfDay({ description: 'End.', examples: ['06:00'] }),
        every: choice(['daily', 'weekly', 'monthly'], { description: 'How often.' }).prefault(
          'weekly',
        ),
        announce: duration({
          description: 'How long before it is announced.',
          examples: ['7d'],
        }).optional(),
        urgentAnnounce: duration({
          description: 'The same for urgent fixes.',
          examples: ['24h'],
        }).optional(),
      },
      {
        description:
          'When updates may happen, after backups that run have ended. Default where `policy: auto` or `reboot` needs one: Sunday 04:00 to 05:00 in the zone of `timezone`.',
      },
    ).optional(),
    rollback: mapping(
      {
        within: duration({
          description:
            'Most time until a release that does not hold is taken back. A deploy watches it for 30 s after it has taken over, or as long as this where that is less.',
        }).prefault('5m'),
        keepReleases: wholeNumber(1, 50, {
          description: 'Old releases that stay on the server.',
        }).default(3),
      },
      { description: 'The way back.' },
    ).prefault({}),
  },
  { description: 'Updates.' },
).prefault({});

export type Updates = z.output<typeof updatesSection>;
