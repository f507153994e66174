// The ring in C++: members killed at every point, and at random.

import { testSuites } from './native-suites.ts';

testSuites('kill');
