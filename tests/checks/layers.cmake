# Which header may include what: the arrows of the design. `A: B C` says that A may include B and C.
cmake_minimum_required(VERSION 3.25)
set(core core)
set(kernel core kernel)
set(nn ${kernel} nn)
set(vision ${nn} vision)
set(projector ${nn} projector)
set(language ${nn} language)
set(io core io)
set(text core io text)
set(image core io image)
set(model ${nn} vision projector language io text image model)
set(infer ${model} infer)
set(train ${model} train)
set(tool ${infer} train tool)

# Third parties and where alone they may be included: a regex of the include, a regex of the header.
set(rules
  "immintrin[.]h|x86intrin[.]h"           "^kernel/[a-z0-9]+/|^core/parallel[.]hpp$"  # _mm_pause
  "cpuid[.]h"                             "^kernel/arch[.]hpp$"
  "Eigen/"                                "^kernel/eigen/"
  "nlohmann/"                             "^io/json"
  "stb/"                                  "^image/"
  "libav|libsw"                           "^image/ffmpeg[.]hpp$"
  "xtensor/|xtl/"                         "^core/xtensor_compat[.]hpp$|^image/xtensor[.]hpp$|^model/[a-z_]*xtensor[.]hpp$"
  "(thread|future|condition_variable)$" "^core/parallel[.]hpp$"
  "utf8proc[.]h"                          "^text/"
  "CLI/"                                  "^tool/"
  "iostream"                              "^tool/")

cmake_path(SET include NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../../include/gov")
file(GLOB_RECURSE headers RELATIVE "${include}" "${include}/*.hpp" "${include}/*.inc")
set(wrong "")
foreach(header ${headers})
  if(header STREQUAL gov.hpp)
    continue()
  endif()
  string(REGEX REPLACE "/.*" "" layer ${header})
  if(NOT DEFINED ${layer})
    string(APPEND wrong "\n  ${header}: \"${layer}\" is not a layer")
    continue()
  endif()
  file(STRINGS "${include}/${header}" lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line ${lines})
    string(REGEX REPLACE "^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"]+).*" "\\1" included "${line}")
    if(included MATCHES "^gov/([a-z]+)/")
      if(NOT CMAKE_MATCH_1 IN_LIST ${layer})
        string(APPEND wrong "\n  ${header}: ${layer}/ may not include ${included}")
      endif()
    elseif(included MATCHES "^gov/" OR line MATCHES "\"")
      string(APPEND wrong "\n  ${header}: ${included} is not spelled \"gov/<layer>/<name>.hpp\"")
    endif()
    set(rest ${rules})
    while(rest)
      list(POP_FRONT rest third_party place)
      if(included MATCHES "^(${third_party})" AND NOT header MATCHES "${place}")
        string(APPEND wrong "\n  ${header}: <${included}> belongs to ${place} only")
      endif()
    endwhile()
  endforeach()
endforeach()
if(wrong)
  message(FATAL_ERROR "includes against the layers:${wrong}")
endif()
