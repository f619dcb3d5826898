import t from 'tap';
import { scramVerifier, verifierWithSalt } from '../../installer/model/scram.ts';
import { Secret } from '../../installer/model/secret.ts';

t.test('a verifier is the one of the example in RFC 7677', async (t) => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  t.equal(
    verifierWithSalt('pencil', salt),
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

t.test(
  'the same password gives another verifier for another role, and the same for the same',
  async (t) => {
    const password = new Secret('one password for two');
    t.equal(scramVerifier(password, 'p/a'), scramVerifier(password, 'p/a'));
    t.not(scramVerifier(password, 'p/a'), scramVerifier(password, 'p/b'));
  },
);

t.test(
  'the salt does not depend on the password: it would be a quicker way to guess it',
  async (t) => {
    const saltOf = (password: string) =>
      scramVerifier(new Secret(password), 'p/a').split(/[:$]/)[2];
    t.equal(saltOf('one'), saltOf('two'));
  },
);

t.test('what clients would have to normalise is refused without being shown', async (t) => {
  for (const password of ['pässword', 'tab\tinside', '']) {
    const attempt = () => scramVerifier(new Secret(password), 'p/a');
    t.throws(attempt, { code: 'secret/not-ascii' });
    try {
      attempt();
    } catch (error) {
      t.notOk(password !== '' && String(error).includes(password));
    }
  }
});
