// The ring in C++: what load seldom meets, everything at once, and members killed between two instructions.

import { testSuites } from './native-suites.ts';

testSuites('edges', 'storm', 'step');
