/** What nginx itself may answer with, and what a person reads then. */
export const ERROR_PAGES: readonly {
  readonly status: number;
  readonly title: string;
  readonly text: string;
}[] = [
  page(400, 'Bad request', 'The server could not understand this request.'),
  page(401, 'Password needed', 'This address is open to known users only.'),
  page(403, 'Not allowed', 'This address may not be opened from here.'),
  page(404, 'Not found', 'There is nothing at this address.'),
  page(405, 'Method not allowed', 'This address does not take this kind of request.'),
  page(408, 'Too slow', 'The request took too long to arrive.'),
  page(413, 'Too large', 'The request is larger than this address accepts.'),
  page(414, 'Address too long', 'The address of the request is too long.'),
  page(421, 'Wrong server', 'The server has nothing under the name that was asked for.'),
  page(
    429,
    'Too many requests',
    'There were too many requests. Please wait a little and try again.',
  ),
  page(431, 'Headers too large', 'The headers of the request are too large.'),
  page(500, 'Something went wrong', 'The server met an error. Please try again.'),
  page(502, 'Not reachable', 'The application does not answer right now. Please try again soon.'),
  page(503, 'Not available', 'The application is not available right now. Please try again soon.'),
  page(504, 'No answer in time', 'The application took too long to answer. Please try again.'),
];

function page(status: number, title: string, text: string) {
  return { status, title, text };
}
