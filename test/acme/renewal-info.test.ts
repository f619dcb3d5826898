import t from 'tap';
import { certificateId } from '../../installer/acme/renewal-info.ts';

t.test('a certificate is called as the example of RFC 9773 is', async (t) => {
  const keyId = '69885b6b87464041e1b37b847ba0ae2cde01c8d4';
  t.equal(certificateId(keyId, '87654321'), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE');
  t.equal(certificateId(keyId, '7654321'), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.B2VDIQ');
  t.equal(certificateId(undefined, '01'), undefined);
});
