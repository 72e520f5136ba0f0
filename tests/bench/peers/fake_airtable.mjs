// Answers every request with one page of records, as Airtable's list endpoint would.
// fake_airtable.mjs PAGE.json; prints its port to standard output.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const page = readFileSync(process.argv[2]);
const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': page.length });
  response.end(page);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
