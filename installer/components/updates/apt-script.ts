/**
 * How long a script may run that reads package lists and then installs. Each of the two may wait for another apt as long as
 * `images/lib/apt.sh` says, and then has work of its own: a dpkg that is ended in its midst leaves every later apt to a person.
 */
export const APT_SCRIPT_SECONDS = 2 * 600 + 1800;
