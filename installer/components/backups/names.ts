/** Private age key of the restore test, which opens every backup; the name that `installer/backup` reads it by. */
export const RESTORE_TEST_IDENTITY = 'RESTORE_TEST_IDENTITY';
