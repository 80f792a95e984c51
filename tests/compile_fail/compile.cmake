# compile: how cases and what they include are compiled.
list(TRANSFORM INCLUDES PREPEND -I)
set(compile ${COMPILER} -std=c++20 ${INCLUDES})
