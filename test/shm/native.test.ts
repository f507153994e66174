// The ring in C++: threads and processes, under sanitizers, beside one that writes garbage.

import { testSuites } from './native-suites.ts';

testSuites('stress', 'thread', 'address', 'hostile');
