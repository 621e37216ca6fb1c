// Loads npm packages from `.tools/node`, where `make tools` put them: nothing is installed beside the sources.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const installed = createRequire(new URL('../../.tools/node/', import.meta.url));

export const load = (name) => import(pathToFileURL(installed.resolve(name)).href);
